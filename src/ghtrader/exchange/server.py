"""The exchange as one asyncio process on one loopback port: login service, files, market data, trade gateway, the market's clock."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from ghtrader.exchange.broker import Broker
from ghtrader.exchange.faults import Fault, FaultBoard, Link
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.md import MAINTENANCE, MdSession
from ghtrader.exchange.otg import OtgSession

__all__ = ["ExchangeServer", "environment_of"]

REALM = "/auth/realms/shinnytech"
FEATURES = ["futr", "sec", "lmt_idx", "tq_dl", "tq_lc_rk", "tq_trading_status", "tq_ma"]
FAR_FUTURE_S = 4_102_444_800
#: The market walks at most so long before clients are served; a market that cannot keep up forgets what lags further behind.
LONGEST_STRIDE_S, LONGEST_LAG_S = 0.005, 1.0
SHUTDOWN_S = 2.0
#: A message of a client that is longer ends its connection.
LONGEST_MESSAGE = 16 << 20
SECRET = b"loopback"


def environment_of(port: int, user: str, password: str) -> dict[str, str]:
    """What a TqSdk script needs to find an exchange on this port, and ghtrader to log in (`TQSDK_USER`, `TQSDK_PASSWORD`).

    The provider's daily maintenance is not ours: ghtrader may ask at any hour.
    """
    http, socket = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    return {
        "TQ_AUTH_URL": http,
        "TQ_MD_URL": f"{socket}/md",
        "TQ_TD_URL": f"{socket}/td",
        "TQ_CHINESE_HOLIDAY_URL": f"{http}/shinny_chinese_holiday.json",
        "TQ_CONT_TABLE_URL": f"{http}/continuous_table.json",
        "TQ_INS_URL": f"{http}/latest.json",
        "TQSDK_USER": user,
        "TQSDK_PASSWORD": password,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "GHTRADER_DATA_DOWNLOAD_MAINTENANCE_WINDOW": "never",
    }


def _token(user: str, features: list[str], accounts: list[str]) -> str:
    """A signed token as the login service gives it; clients only read it (`name` is ours, for refreshing)."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=")

    identity = hashlib.sha256(user.encode()).hexdigest()[:32]
    body = (
        part({"alg": "HS256", "typ": "JWT"})
        + b"."
        + part({"sub": identity, "name": user, "grants": {"features": features, "accounts": accounts}})
    )
    signature = base64.urlsafe_b64encode(hmac.new(SECRET, body, hashlib.sha256).digest()).rstrip(b"=")
    return (body + b"." + signature).decode()


def _user_of(token: str) -> str:
    """The user whose token it is; raises HTTP 400 for what is none."""
    try:
        body = token.split(".")[1]
        found: str = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["name"]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise web.HTTPBadRequest(text="no refresh token of this exchange") from error
    return found


class _Wire:
    """One websocket: the session behind it, and a task that sends what there is."""

    def __init__(
        self, link: Link, socket: web.WebSocketResponse, transport: asyncio.Transport, session: MdSession | OtgSession
    ) -> None:
        self.link = link
        self.socket = socket
        self.transport = transport
        self.session = session
        self.held = False
        self._due = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._due.set()

    async def pump(self, delay_s: Callable[[], float]) -> None:
        """Send answers as the client asks for them."""
        while True:
            await self._due.wait()
            self._due.clear()
            answer = None if self.held else self.session.state.take()
            if answer is not None:
                wait = delay_s()
                if wait:
                    await asyncio.sleep(wait)
                await self.socket.send_str(msgspec.json.encode(answer).decode())


class ExchangeServer:
    """Everything that runs: `serve` binds, says that it is ready, and ends with SIGTERM or SIGINT.

    speed: market seconds per wall second; 0 stands still. accounts: passwords by user. When the market has come to its end and
    nobody is connected, the next login finds it at its beginning again, with fresh accounts. packets: what every market-data
    connection is given before the market.
    """

    def __init__(
        self,
        market: ServedMarket,
        accounts: dict[str, str],
        *,
        speed: float,
        faults: tuple[Fault, ...] = (),
        packets: Sequence[list[dict[str, Any]]] = (),
    ) -> None:
        self._packets = packets
        self.market = market
        self.broker = Broker(market)
        self.board = FaultBoard(faults)
        self._accounts = accounts
        self._speed = speed
        self._wires: set[_Wire] = set()
        self._logged_in: list[str] = list(accounts)
        self._begin_ns = market.now_ns
        self._again = asyncio.Event()
        self._told = asyncio.Event()
        self.broker.listen = self._hear

    # --- HTTP -----------------------------------------------------------------------------------------------------------
    def application(self) -> web.Application:
        """Routes of every service."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post(f"{REALM}/protocol/openid-connect/token", self._login)
        app.router.add_get(f"{REALM}/rest/get-grant/tq", self._grant)
        app.router.add_put(REALM + "/rest/update-grant-accounts/{account}", self._add_account)
        app.router.add_get("/ns", self._name_service)
        app.router.add_get("/shinny_chinese_holiday.json", _json(self.market.holidays))
        app.router.add_get("/continuous_table.json", _json(self.market.continuous_table))
        app.router.add_get("/latest.json", _json(dict))
        app.router.add_get("/tqsdk_metadata.json", _json(dict))
        app.router.add_get("/exchange/hits.json", _json(lambda: self.board.hits))
        app.router.add_get("/exchange/orders.json", _json(lambda: self.broker.log))
        app.router.add_get("/exchange/strike.json", self._tell)
        app.router.add_get("/md", self._md)
        app.router.add_get("/td", self._td)
        app.router.add_get("/{broker}.json", self._broker_file)
        return app

    async def _login(self, request: web.Request) -> web.Response:
        self.board.hit("login")
        await self._slow("td")
        if self.board.strike("auth_maintenance"):
            return web.json_response({"error": "maintenance", "error_description": MAINTENANCE}, status=503)
        form = await request.post()
        refreshed = form.get("grant_type") == "refresh_token"
        user = _user_of(str(form.get("refresh_token", ""))) if refreshed else str(form.get("username", ""))
        wrong = self.board.strike("wrong_password", link="md") is not None
        if wrong or not (refreshed or self._accounts.get(user) == form.get("password")):
            return web.json_response({"error": "invalid_grant", "error_description": "用户名或密码错误"}, status=401)
        if not refreshed and self.market.is_over and not self._wires:
            self._begin_again()
        features = [] if self.board.strike("expired_grant") else FEATURES
        token = _token(user, features, self._logged_in)
        return web.json_response({"access_token": token, "refresh_token": token, "expires_in": 86400, "token_type": "bearer"})

    def _begin_again(self) -> None:
        self.market.now_ns = self._begin_ns
        self.broker = Broker(self.market)
        self.broker.listen = self._hear
        self._again.set()

    async def _grant(self, request: web.Request) -> web.Response:
        del request
        expired = self.board.strike("expired_grant") is not None
        return web.json_response(
            {
                "exp": 1 if expired else FAR_FUTURE_S,
                "daysleft": 0 if expired else 9999,
                "account_type": "FREE" if expired else "PRO",
            }
        )

    async def _add_account(self, request: web.Request) -> web.Response:
        self._logged_in.append(request.match_info["account"])
        return web.json_response({})

    async def _name_service(self, request: web.Request) -> web.Response:
        return web.json_response({"mdurl": f"ws://{request.host}/md"})

    async def _broker_file(self, request: web.Request) -> web.Response:
        broker = request.match_info["broker"]
        facts = {"category": ["TQ"], "url": f"ws://{request.host}/td", "broker_type": "FUTURE", "smtype": "", "smconfig": ""}
        return web.json_response({broker: facts})

    async def _tell(self, request: web.Request) -> web.Response:
        del request
        self._told.set()
        return web.json_response(True)

    # --- websockets -----------------------------------------------------------------------------------------------------
    async def _md(self, request: web.Request) -> web.WebSocketResponse:
        return await self._serve(request, "md", MdSession(self.market, self.board, self._packets))

    async def _td(self, request: web.Request) -> web.WebSocketResponse:
        return await self._serve(request, "td", OtgSession(self.broker, self.board, self._is_user))

    def _is_user(self, user: str, password: str) -> bool:
        return user in self._accounts and self._accounts[user] == password

    async def _serve(self, request: web.Request, link: Link, session: MdSession | OtgSession) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=LONGEST_MESSAGE, compress=False, timeout=SHUTDOWN_S)
        await socket.prepare(request)
        assert request.transport is not None
        wire = _Wire(link, socket, request.transport, session)
        self._wires.add(wire)
        tasks = [asyncio.create_task(wire.pump(lambda: self._slow_s(link)))]
        tasks += [asyncio.create_task(self._strike_link(wire, index, fault)) for index, fault in self.board.pending(link)]
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    session.handle(msgspec.json.decode(message.data))
                    wire.wake()
        except (msgspec.DecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
            self.board.hit("unreadable message")
            await socket.close(code=1007, message=f"unreadable message: {error}"[:100].encode())
        finally:
            self._wires.discard(wire)
            for task in tasks:
                task.cancel()
        return socket

    async def _strike_link(self, wire: _Wire, index: int, fault: Fault) -> None:
        if fault.told:
            await self._told.wait()
        await asyncio.sleep(fault.after_s)
        if not self.board.count(index):
            return
        self.board.hit(f"{fault.do} {wire.link}")
        if fault.do == "abort":
            wire.transport.abort()
        elif fault.do == "close":
            await wire.socket.close(code=fault.code)
        else:
            wire.held = True
            wire.transport.pause_reading()
            await asyncio.sleep(fault.for_s)
            wire.held = False
            with contextlib.suppress(RuntimeError):
                wire.transport.resume_reading()
            wire.wake()

    def _slow_s(self, link: Link) -> float:
        fault = self.board.strike("slow", link=link)
        return fault.ms / 1000.0 if fault is not None else 0.0

    async def _slow(self, link: Link) -> None:
        wait = self._slow_s(link)
        if wait:
            await asyncio.sleep(wait)

    def _hear(self, user: str, patch: dict[str, Any], notify: dict[str, Any] | None) -> None:
        for wire in self._wires:
            if isinstance(wire.session, OtgSession) and wire.session.user == user:
                wire.session.hear(patch, notify)
                wire.wake()

    # --- time -----------------------------------------------------------------------------------------------------------
    async def _walk(self) -> None:
        """Walk through the market's moments at the chosen speed; at its end wait until somebody begins it again."""
        loop = asyncio.get_running_loop()
        stale = [(loop.time() + fault.after_s, fault.for_s) for fault in self.board.faults if fault.do == "stale_quotes"]
        while True:
            await self._walk_once(stale)
            self._again.clear()
            await self._again.wait()

    async def _walk_once(self, stale: list[tuple[float, float]]) -> None:
        loop = asyncio.get_running_loop()
        due = yielded = loop.time()
        for stamp, wait_ns in self.market.moments():
            due += wait_ns / 1e9 / self._speed
            now = loop.time()
            if due - now > 0.0005 or now - yielded > LONGEST_STRIDE_S:
                await asyncio.sleep(max(0.0, due - now))
                yielded = loop.time()
                due = max(due, yielded - LONGEST_LAG_S)
            self.move_to(stamp, is_stale=any(start <= now < start + seconds for start, seconds in stale))

    def move_to(self, stamp: int, *, is_stale: bool = False) -> None:
        """The market goes on to a moment with ticks: orders are matched, clients are shown it unless quotes are stale."""
        self.market.now_ns = stamp
        self.broker.on_market(self.market.moved)
        for wire in () if is_stale else self._wires:
            if isinstance(wire.session, MdSession):
                wire.session.on_market()
                wire.wake()

    async def serve(self, port: int, ready: Callable[[int], None], stop: asyncio.Event | None = None) -> None:
        """Bind (0: any free port), call ``ready`` with the port, run until ``stop`` is set, and hang up within seconds.

        Without ``stop``, SIGTERM and SIGINT end it. Raises OSError when the port is taken.
        """
        if stop is None:
            stop = asyncio.Event()
            for name in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(name, stop.set)
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            ready(runner.addresses[0][1])
            await self._run(stop)
        finally:
            await runner.cleanup()

    async def _run(self, stop: asyncio.Event) -> None:
        """Let the market walk until somebody stops it; an error of its clock ends the exchange."""
        tasks: set[asyncio.Task[Any]] = {asyncio.create_task(stop.wait())}
        if self._speed > 0:
            tasks.add(asyncio.create_task(self._walk()))
        done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        closing = [asyncio.wait_for(wire.socket.close(code=1001), SHUTDOWN_S) for wire in self._wires]
        await asyncio.gather(*closing, return_exceptions=True)
        for task in done:
            task.result()


def _json(content: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.Response(body=msgspec.json.encode(content()), content_type="application/json")

    return answer
