"""Where things lie in the kernel's two arrays: ``f`` (float64) and ``k`` (int64). Two, because every further one costs each call.

f: the run's state (cleared at its first row), the day's state (survives breaks and gaps), what earlier days left (history), fitted
parameters, the scratch of one row (filled by `core` for the other groups), the row of factors itself, and rings. k: the run's whole
numbers, previous quotes, rings. Every group owns a section of 64 numbers of the run's state in each.
"""

from __future__ import annotations

__all__ = ["NO_PRICE", "N_FACTORS", "RING"]

NO_PRICE = -(1 << 40)
RING = 2048
MASK = RING - 1  # place & MASK is place % RING, without a division
LN2 = 0.6931471805599453
NS = 1e9
#: What lies before a row: nothing, a break (the run ends), another contract (the day's state ends too).
NO_BREAK, BREAK, ROLL = 0, 1, 2

# --- groups that are computed on demand (core always is) -----------------------------------------------------------------
NEED_BOOK, NEED_FLOW, NEED_TRADE, NEED_RETURN, NEED_LIQUIDITY, NEED_CLOCK, NEED_CROSS, NEED_REGIME = (
    1 << bit for bit in range(8)
)

# --- f and k: the run's state, a section for each group --------------------------------------------------------------------
SECTION = 64
AT_CORE, AT_BOOK, AT_FLOW, AT_TRADE, AT_RETURN, AT_LIQUIDITY, AT_CLOCK, AT_CROSS, AT_REGIME = range(0, 9 * SECTION, SECTION)
AT_USER, USER_STATE = 9 * SECTION, 256  # numbers of f for factors declared outside the package
RUN_END = AT_USER + USER_STATE

# --- k of core: previous quotes, all five levels ------------------------------------------------------------------------
K_STARTED, K_TS, K_ANCHOR, K_HEAD, K_PTR2, K_PTR10, K_PTR60, K_PTR300, K_IMB, K_FIRST_TS = range(10)
K_BID, K_ASK, K_BID_SZ, K_ASK_SZ = 16, 21, 26, 31  # five each

# --- k: rings, by row number of the run modulo RING -----------------------------------------------------------------------
RING_TS, DEQUE_MAX, DEQUE_MIN, RING_TRADE = range(RUN_END, RUN_END + 4 * RING, RING)
SIZE_K = RUN_END + 4 * RING

# --- f: the trading day so far ------------------------------------------------------------------------------------------
PARTS, PART_MINUTES = 4, 360
VPIN_BUCKETS, VPIN_BINS = 50, 100
DAY = RUN_END
C_SET_LOGB, C_LOGB, C_SET_LOGA, C_LOGA = range(DAY, DAY + 4)
C_SUM_DV, C_ROWS_DV = DAY + 4, DAY + 5  # lots and rows of intervals with volume
C_SUM_LOGB, C_SUM_LOGA, C_ROWS = DAY + 6, DAY + 7, DAY + 8  # sums over rows that count, for the summary
C_BUCKET_LOTS, C_BUCKET_SIGNED, C_BUCKETS, C_BUCKET_SUM = range(DAY + 9, DAY + 13)  # open VPIN bucket (lots x 50), closed ones
C_SPARE = DAY + 16  # 16 numbers: cross-asset state that outlives a run
C_BUCKET_RING = DAY + 32  # VPIN_BUCKETS
C_VPIN_HIST = C_BUCKET_RING + VPIN_BUCKETS  # VPIN_BINS
C_ACTIVITY = C_VPIN_HIST + VPIN_BINS  # PARTS x PART_MINUTES: rows by minute of the part
DAY_END = C_ACTIVITY + PARTS * PART_MINUTES

# --- f: what earlier days left (`history`); 0, and NaN where marked, without them -----------------------------------------
HISTORY = DAY_END
H_DAYS = HISTORY  # days that the history covers
H_VOLUME = HISTORY + 1  # lots of the previous day, 0 unknown
H_LOGB, H_LOGA = HISTORY + 2, HISTORY + 3  # the previous day's mean log depth, NaN unknown
H_VPIN = HISTORY + 8  # VPIN_BINS + 1: share of the last five days' VPIN values below each bin's edge; first NaN: unknown
H_ACTIVITY = H_VPIN + VPIN_BINS + 1  # PARTS x PART_MINUTES: mean rows per minute over the last twenty days
HISTORY_END = H_ACTIVITY + PARTS * PART_MINUTES

# --- f: fitted parameters, neutral ones where nothing was fitted ------------------------------------------------------------
PARAMS = HISTORY_END
P_MICRO = PARAMS  # F13: 5 bins of |I1| x 3 spreads, ticks
P_SWEEP = PARAMS + 15  # F24: two trade sizes, lots
P_OFI = PARAMS + 17  # F30: five weights
P_LARGE = PARAMS + 22  # F54: lots
P_HAR = PARAMS + 23  # F77: constant and three slopes
P_REGIME = PARAMS + 32  # regime: 3 x 3 transitions, 3 x 4 means, 3 x 4 standard deviations, 3 starting probabilities
PARAMS_END = PARAMS + 80

# --- f: one row, filled by core ---------------------------------------------------------------------------------------------
X = PARAMS_END
X_FIRST = X  # 1.0 on the first row of a run
X_DT = X + 1  # seconds since the previous row of the run, 0 on the first
X_MID = X + 2  # mid in ticks, relative to the run's first one (exact: halves)
X_DMID = X + 3  # change of the mid since the previous row, 0 on the first
X_SPREAD, X_PREV_SPREAD = X + 4, X + 5  # ticks; the previous row's, or this one's on the first
X_BID_SZ, X_ASK_SZ = X + 6, X + 7  # lots at the best levels
X_I1 = X + 8  # level 1 imbalance
X_DV, X_DAMOUNT, X_DOI = X + 9, X + 10, X + 11  # lots, CNY, lots since the previous row, 0 on the first
X_SIGNED = X + 12  # bought minus sold lots, in [-dV, dV]
X_BUY, X_SELL = X + 13, X + 14  # (dV + signed)/2, (dV - signed)/2
X_EXCESS = X + 15  # CNY: dAmount - dV x unit x previous mid; 0 without turnover or volume
X_LOTS_CNY = X + 16  # dV x unit: CNY per tick of the interval's lots
X_E1 = X + 17  # order-flow event of level 1
X_DEPTH1 = X + 18  # EWMA of (B1 + A1)/2, half-life 300 s
X_ADD_BID, X_REM_BID, X_ADD_ASK, X_REM_ASK = range(X + 19, X + 23)  # lots added to and removed from the best levels (F37)
X_LAST = X + 23  # last price minus mid, ticks; NaN where absent
X_TWICE_MID = X + 24  # b1 + a1 in ticks: absolute, for ratios that have no level (F3) and nothing else
X_SUM_BID, X_SUM_ASK = X + 25, X + 26  # lots over all present levels
X_UNIT = X + 27  # CNY per tick and lot
X_TS_S = X + 28  # seconds since the run's first row
X_W2, X_W5, X_W10, X_W20, X_W60, X_W240, X_W300, X_W600, X_W1800, X_W3600, X_WDAY = range(X + 32, X + 43)  # 2^(-dt/half-life)
#: Half-lives of X_W2 .. X_WDAY in seconds; a day has four trading hours here.
HALF_LIVES = (2.0, 5.0, 10.0, 20.0, 60.0, 240.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
X_END = X + 48

# --- f: the row of factors: Fn stands at F0 + n; what has no number follows ---------------------------------------------------
ROW = X_END
F0 = ROW - 1
IMB35_5, IMB35_20, IMB35_60, AUX_OFI10, REGIME1, REGIME2, REGIME3 = range(ROW + 108, ROW + 115)
N_FACTORS = 115
ROW_END = ROW + N_FACTORS
USER_ROW, USER_FACTORS = ROW_END, 32  # factors declared outside the package

# --- f: rings, by row number of the run modulo RING -------------------------------------------------------------------------
RING_MID, RING_IMPACT, RING_SIGN, RING_FREE = range(USER_ROW + USER_FACTORS, USER_ROW + USER_FACTORS + 4 * RING, RING)
SIZE_F = USER_ROW + USER_FACTORS + 4 * RING

# --- peers: what another instrument showed last, as of the row (array (2, n, SIZE_PEER): the peer, the next main contract) -------
PEER_AGE_S = 0  # seconds since its snapshot
PEER_RUN = 1  # number of its run; changes where its mids are not comparable
PEER_MID = 2  # ticks, relative to its run's first mid
PEER_R2, PEER_R10, PEER_R60 = 3, 4, 5  # its F59, F60, F61
PEER_RV60, PEER_RV1800 = 6, 7  # its F68, F70
PEER_OFI10 = 8  # its order-flow imbalance, half-life 10 s
PEER_MICRO = 9  # its micro-price deviation over its spread
SIZE_PEER = 10
MAX_PEER_AGE_S = 2.0
