"""The server in this process, asked by a plain websocket client: logins, links that break, clients that misbehave, its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from ghtrader.exchange.faults import Fault
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.server import LONGEST_MESSAGE, ExchangeServer, environment_of
from tests.conftest import processor_wait_s
from tests.exchange.markets import FIRST, RB, two_days

REALM = "/auth/realms/shinnytech"
TOKEN = f"{REALM}/protocol/openid-connect/token"
PATIENCE_S = 60.0


class Venue:
    """A running server and a way to talk to it."""

    def __init__(self, server: ExchangeServer, port: int, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.port = port
        self.http = http

    async def login(self, **form: str) -> tuple[int, dict[str, Any]]:
        words = {"grant_type": "password", "username": "demo", "password": "secret", **form}
        async with self.http.post(f"http://127.0.0.1:{self.port}{TOKEN}", data=words) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else {}

    async def get(self, path: str) -> Any:
        async with self.http.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return await answer.json()

    async def link(self, name: str = "md") -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(
            f"http://127.0.0.1:{self.port}/{name}", max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=2)
        )


@contextlib.asynccontextmanager
async def venue(
    market: ServedMarket | None = None, *, speed: float = 0.0, faults: tuple[Fault, ...] = (), **options: Any
) -> AsyncIterator[Venue]:
    server = ExchangeServer(market or two_days(), {"demo": "secret", "other": "pw"}, speed=speed, faults=faults, **options)
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(server.serve(0, bound.set_result, stop))
    async with aiohttp.ClientSession() as http:
        yield Venue(server, await asyncio.wait_for(bound, PATIENCE_S), http)
        stop.set()
        await asyncio.wait_for(serving, PATIENCE_S)


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


async def peek(link: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    await link.send_json({"aid": "peek_message"})
    packet = await asyncio.wait_for(link.receive_json(), PATIENCE_S)
    found: list[dict[str, Any]] = packet["data"]
    return found


async def closed(link: aiohttp.ClientWebSocketResponse) -> int | None:
    """Read until the link ends; its close code."""
    while True:
        message = await asyncio.wait_for(link.receive(), PATIENCE_S)
        if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            return link.close_code


def test_the_services_behind_the_environment_answer() -> None:
    async def body() -> None:
        async with venue() as at:
            status, token = await at.login()
            assert (status, token["token_type"]) == (200, "bearer")
            assert (await at.login(password="guess"))[0] == 401
            assert (await at.login(username="nobody"))[0] == 401
            status, other = await at.login(username="other", password="pw")
            refreshed = await at.login(grant_type="refresh_token", refresh_token=other["refresh_token"])
            assert refreshed == (200, other), "a refreshed token is the same user's"
            assert (await at.login(grant_type="refresh_token", refresh_token="x"))[0] == 400
            assert (await at.get(f"{REALM}/rest/get-grant/tq"))["account_type"] == "PRO"
            async with at.http.put(f"http://127.0.0.1:{at.port}{REALM}/rest/update-grant-accounts/777") as answer:
                assert answer.status == 200
            assert (await at.login())[1]["access_token"] != token["access_token"]
            assert (await at.get("/simnow.json"))["simnow"]["url"] == f"ws://127.0.0.1:{at.port}/td"
            assert (await at.get("/ns?stock=true"))["mdurl"] == f"ws://127.0.0.1:{at.port}/md"
            assert (await at.get("/continuous_table.json"))["SHFE.rb"] == [["20250605", RB]]
            assert "2025-06-02" in await at.get("/shinny_chinese_holiday.json")
            assert (await at.get("/exchange/hits.json"))["login"] == 7
            assert await at.get("/exchange/orders.json") == []
            environment = environment_of(at.port, "demo", "secret")
            assert environment["TQ_MD_URL"] == f"ws://127.0.0.1:{at.port}/md"

    run(body)


def test_logins_fail_as_scripted() -> None:
    faults = (
        Fault(do="auth_maintenance", times=1),
        Fault(do="wrong_password", times=1),
        Fault(do="expired_grant"),
        Fault(do="slow", link="td", ms=1),
    )

    async def body() -> None:
        async with venue(faults=faults) as at:
            assert [(await at.login())[0] for _ in range(3)] == [503, 401, 200]
            grant = await at.get(f"{REALM}/rest/get-grant/tq")
            assert (grant["exp"], grant["account_type"]) == (1, "FREE")

    run(body)


def test_a_moving_market_reaches_twenty_clients_alike() -> None:
    async def body() -> None:
        market = two_days()
        market.start_on(FIRST)
        async with venue(market, speed=200.0) as at:
            links = [await at.link() for _ in range(20)]
            for link in links:
                await link.send_json({"aid": "set_chart", "chart_id": "t", "ins_list": RB, "duration": 0, "view_width": 30})

            async def gather(link: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
                rows: dict[str, Any] = {}
                while "19" not in rows:
                    for patch in await peek(link):
                        rows |= patch.get("ticks", {}).get(RB, {}).get("data", {})
                return rows

            found = await asyncio.gather(*(gather(link) for link in links))
            assert all(rows == found[0] for rows in found)
            assert sorted(map(int, found[0])) == list(range(20))
            for link in links:
                await link.close()

    run(body)


def test_a_client_that_misbehaves_hurts_only_itself() -> None:
    async def body() -> None:
        async with venue() as at:
            good = await at.link()
            await good.send_json({"aid": "subscribe_quote", "ins_list": RB})
            texts = ["{", "[1]", "7", '{"aid":"set_chart"}', '{"aid":"set_chart","chart_id":"c","ins_list":"x","duration":"y"}']
            for text in texts:
                bad = await at.link()
                await bad.send_str(text)
                assert await closed(bad) == 1007, text
            bad = await at.link("td")
            await bad.send_json({"aid": "req_login", "bid": "simnow", "user_name": "demo", "password": "secret"})
            await bad.send_json({"aid": "insert_order", "volume": "many"})
            assert await closed(bad) == 1007
            assert at.server.board.hits["unreadable message"] == 6
            huge = await at.link()
            with contextlib.suppress(aiohttp.ClientError, OSError):  # it hangs up before everything was sent
                await huge.send_str("x" * (LONGEST_MESSAGE + 1))
            assert await closed(huge) in {1006, 1009}
            binary = await at.link()
            await binary.send_bytes(b"\x00\xff")
            assert await peek(binary), "what is no text is ignored"
            gone = await at.link()
            assert gone._response.connection is not None
            assert gone._response.connection.transport is not None
            gone._response.connection.transport.abort()
            told: dict[str, Any] = {}
            for patch in await peek(good):
                told |= patch
            assert told["quotes"][RB]["last_price"] == 3001

    run(body)


def test_links_break_as_scripted() -> None:
    faults = (
        Fault(do="abort", after_s=0.05),
        Fault(do="close", code=1000, after_s=0.05, link="td"),
        Fault(do="slow", ms=150, times=1, link="td"),
    )

    async def body() -> None:
        async with venue(faults=faults) as at:
            assert await closed(await at.link()) in {None, 1006}
            assert await closed(await at.link("td")) == 1000
            again = await at.link()
            assert await peek(again), "each strikes once"
            slow = await at.link("td")
            started = time.monotonic()
            await peek(slow)
            assert time.monotonic() - started >= 0.15
            assert at.server.board.hits == {"abort md": 1, "close td": 1}

    run(body)


def test_a_half_open_link_is_silent_and_comes_back() -> None:
    async def body() -> None:
        async with venue(faults=(Fault(do="half_open", for_s=0.6),)) as at:
            started = time.monotonic()
            link = await at.link()
            while not at.server.board.hits:
                await asyncio.sleep(0.01)
            assert await peek(link)
            assert time.monotonic() - started >= 0.6

    run(body)


def test_stale_quotes_stand_still_and_the_gap_is_filled_afterwards() -> None:
    async def body() -> None:
        market = two_days()
        async with venue(market, speed=200.0, faults=(Fault(do="stale_quotes", for_s=0.05),)) as at:
            link = await at.link()
            await link.send_json({"aid": "set_chart", "chart_id": "t", "ins_list": RB, "duration": 0, "view_width": 30})
            rows: dict[str, Any] = {}
            while "19" not in rows:
                for patch in await peek(link):
                    rows |= patch.get("ticks", {}).get(RB, {}).get("data", {})
            assert sorted(map(int, rows)) == list(range(20))

    run(body)


def test_it_ends_within_seconds_whatever_its_clients_do() -> None:
    async def body() -> None:
        silent = tuple(Fault(do="half_open", for_s=60) for _ in range(6))
        async with venue(faults=silent) as at:
            links = [await at.link() for _ in range(12)]
            assert len(links) == 12
            while at.server.board.hits.get("half_open md", 0) < 6:
                await asyncio.sleep(0.01)
            started = time.monotonic() - processor_wait_s()
        assert time.monotonic() - processor_wait_s() - started < 9

    run(body)


def test_a_taken_port_is_an_error_at_once() -> None:
    async def body() -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            server = ExchangeServer(two_days(), {"demo": "secret"}, speed=1.0)
            with pytest.raises(OSError, match="address already in use"):
                await server.serve(holder.getsockname()[1], lambda port: None, asyncio.Event())

    run(body)


def test_an_error_of_the_markets_clock_ends_it() -> None:
    async def body() -> None:
        server = ExchangeServer(two_days(), {"demo": "secret"}, speed=1.0)

        def broken(symbols: set[str]) -> None:
            raise ArithmeticError(f"cannot move {symbols}")

        server.broker.on_market = broken  # type: ignore[method-assign]
        with pytest.raises(ArithmeticError, match="cannot move"):
            await asyncio.wait_for(server.serve(0, lambda port: None, asyncio.Event()), PATIENCE_S)

    run(body)


def test_a_market_that_is_over_begins_again_for_the_next_login_when_nobody_is_there() -> None:
    async def body() -> None:
        market = two_days()
        async with venue(market, speed=1000.0) as at:
            first = at.server.broker
            link = await at.link()
            while not market.is_over:
                await asyncio.sleep(0.01)
            await at.login()
            assert market.is_over, "somebody is still there"
            await link.close()
            while at.server._wires:
                await asyncio.sleep(0.01)
            await at.login(grant_type="refresh_token", refresh_token=(await at.login(password="guess"))[1].get("x", "x"))
            assert market.is_over, "only a login that is granted"
            at.server._speed, over = 100.0, market.now_ns
            await at.login()
            assert at.server.broker is not first
            assert market.now_ns < over  # at this speed its days take a tenth of a second and more
            while not market.is_over:
                await asyncio.sleep(0.01)

    run(body)


def test_recorded_packets_come_before_the_market() -> None:
    async def body() -> None:
        async with venue(packets=[[{"quotes": {"X.y": {"last_price": 1.5}}}], [{"a": 1}, {"b": 2}]]) as at:
            link = await at.link()
            assert [await peek(link) for _ in range(2)] == [[{"quotes": {"X.y": {"last_price": 1.5}}}], [{"a": 1}, {"b": 2}]]
            (greeting,) = await peek(link)
            assert greeting["mdhis_more_data"] is False

    run(body)
