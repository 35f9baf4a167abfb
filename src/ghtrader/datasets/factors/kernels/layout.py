"""Where things lie: output slots, sections of the state, the scratch of one row, parameters, history, peers.

State arrays: ``s`` float64 and ``k`` int64 live as long as a run (rows since the last break) and are cleared at its first row;
``c`` float64 lives as long as a trading day and survives breaks and gaps; ``ring_i``/``ring_f`` hold the run's last rows;
``x`` float64 is the scratch of one row, filled by `core` for the other groups. Every group owns a section of ``s`` and of ``k``.
"""

from __future__ import annotations

__all__ = ["NO_PRICE", "N_FACTORS", "RING"]

NO_PRICE = -(1 << 40)
RING = 2048
LN2 = 0.6931471805599453
NS = 1e9
#: What lies before a row: nothing, a break (the run ends), another contract (the day's state ends too).
NO_BREAK, BREAK, ROLL = 0, 1, 2

# --- output: factor Fn has slot n - 1; what has no number follows ------------------------------------------------------
IMB35_5, IMB35_20, IMB35_60, AUX_OFI10, REGIME1, REGIME2, REGIME3 = range(108, 115)
N_FACTORS = 115

# --- groups that are computed on demand (core always is) -----------------------------------------------------------------
NEED_BOOK, NEED_FLOW, NEED_TRADE, NEED_RETURN, NEED_LIQUIDITY, NEED_CLOCK, NEED_CROSS, NEED_REGIME = (
    1 << bit for bit in range(8)
)

# --- sections of s and k: 64 numbers each -------------------------------------------------------------------------------
SECTION = 64
AT_CORE, AT_BOOK, AT_FLOW, AT_TRADE, AT_RETURN, AT_LIQUIDITY, AT_CLOCK, AT_CROSS, AT_REGIME = range(0, 9 * SECTION, SECTION)
SIZE_S = SIZE_K = 9 * SECTION

# --- x: one row, filled by core --------------------------------------------------------------------------------------------
X_FIRST = 0  # 1.0 on the first row of a run
X_DT = 1  # seconds since the previous row of the run, 0 on the first
X_MID = 2  # mid in ticks, relative to the run's first one (exact: halves)
X_DMID = 3  # change of the mid since the previous row, 0 on the first
X_SPREAD, X_PREV_SPREAD = 4, 5  # ticks; the previous row's, or this one's on the first
X_BID_SZ, X_ASK_SZ = 6, 7  # lots at the best levels
X_I1 = 8  # level 1 imbalance
X_DV, X_DAMOUNT, X_DOI = 9, 10, 11  # lots, CNY, lots since the previous row, 0 on the first
X_SIGNED = 12  # bought minus sold lots, in [-dV, dV]
X_BUY, X_SELL = 13, 14  # (dV + signed)/2, (dV - signed)/2
X_EXCESS = 15  # CNY: dAmount - dV x unit x previous mid; 0 without turnover or volume
X_LOTS_CNY = 16  # dV x unit: CNY per tick of the interval's lots
X_E1 = 17  # order-flow event of level 1
X_DEPTH1 = 18  # EWMA of (B1 + A1)/2, half-life 300 s
X_ADD_BID, X_REM_BID, X_ADD_ASK, X_REM_ASK = 19, 20, 21, 22  # lots added to and removed from the best levels (F37)
X_LAST = 23  # last price minus mid, ticks; NaN where absent
X_TWICE_MID = 24  # b1 + a1 in ticks: absolute, for ratios that have no level (F3) and nothing else
X_SUM_BID, X_SUM_ASK = 25, 26  # lots over all present levels
X_UNIT = 27  # CNY per tick and lot
X_TS_S = 28  # seconds since the run's first row
X_W2, X_W5, X_W10, X_W20, X_W60, X_W240, X_W300, X_W600, X_W1800, X_W3600, X_WDAY = range(32, 43)  # 2^(-dt/half-life)
SIZE_X = 48
#: Half-lives of X_W2 .. X_WDAY in seconds; a day has four trading hours here.
HALF_LIVES = (2.0, 5.0, 10.0, 20.0, 60.0, 240.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)

# --- k of core: previous quotes, all five levels ------------------------------------------------------------------------
K_STARTED, K_TS, K_ANCHOR, K_HEAD, K_PTR2, K_PTR10, K_PTR60, K_PTR300, K_IMB, K_FIRST_TS = range(10)
K_BID, K_ASK, K_BID_SZ, K_ASK_SZ = 16, 21, 26, 31  # five each

# --- rings: row number modulo RING of the run ----------------------------------------------------------------------------
RING_TS, DEQUE_MAX, DEQUE_MIN, RING_TRADE = 0, 1, 2, 3  # rows of ring_i
RING_MID, RING_IMPACT, RING_SIGN = 0, 1, 2  # rows of ring_f
RINGS_I, RINGS_F = 4, 4

# --- c: the trading day so far ------------------------------------------------------------------------------------------
PARTS, PART_MINUTES = 4, 360
VPIN_BUCKETS, VPIN_BINS = 50, 100
C_SET_LOGB, C_LOGB, C_SET_LOGA, C_LOGA = 0, 1, 2, 3
C_SUM_DV, C_ROWS_DV = 4, 5  # lots and rows of intervals with volume
C_SUM_LOGB, C_SUM_LOGA, C_ROWS = 6, 7, 8  # sums over valid rows, for the summary
C_BUCKET_LOTS, C_BUCKET_SIGNED, C_BUCKETS, C_BUCKET_SUM = 9, 10, 11, 12  # the open VPIN bucket, and the closed ones
C_SPARE = 16  # 16 .. 31: cross-asset state that outlives a run
C_BUCKET_RING = 32  # VPIN_BUCKETS
C_VPIN_HIST = C_BUCKET_RING + VPIN_BUCKETS  # VPIN_BINS
C_ACTIVITY = C_VPIN_HIST + VPIN_BINS  # PARTS x PART_MINUTES: rows by minute of the part
SIZE_C = C_ACTIVITY + PARTS * PART_MINUTES

# --- h: what earlier days left (`history`); all NaN or 0 without them -----------------------------------------------------
H_DAYS = 0  # days that the history covers
H_VOLUME = 1  # lots of the previous day, 0 unknown
H_LOGB, H_LOGA = 2, 3  # the previous day's mean log depth, NaN unknown
H_VPIN = 8  # VPIN_BINS + 1: share of the last five days' VPIN values below each bin's edge; first NaN: unknown
H_ACTIVITY = H_VPIN + VPIN_BINS + 1  # PARTS x PART_MINUTES: mean rows per minute over the last twenty days
SIZE_H = H_ACTIVITY + PARTS * PART_MINUTES

# --- p: fitted parameters, neutral ones where nothing was fitted ----------------------------------------------------------
P_MICRO = 0  # F13: 5 bins of |I1| x 3 spreads, ticks
P_SWEEP = 15  # F24: two trade sizes, lots
P_OFI = 17  # F30: five weights
P_LARGE = 22  # F54: lots
P_HAR = 23  # F77: constant and three slopes
P_REGIME = 32  # regime: 3 x 3 transitions, 3 x 4 means, 3 x 4 standard deviations, 3 starting probabilities
SIZE_P = 80

# --- peer rows: what another instrument showed last, as of the row -------------------------------------------------------
PEER_AGE_S = 0  # seconds since its snapshot
PEER_RUN = 1  # number of its run; changes where its mids are not comparable
PEER_MID = 2  # ticks, relative to its run's first mid
PEER_R2, PEER_R10, PEER_R60 = 3, 4, 5  # its F59, F60, F61
PEER_RV60, PEER_RV1800 = 6, 7  # its F68, F70
PEER_OFI10 = 8  # its order-flow imbalance, half-life 10 s
PEER_MICRO = 9  # its micro-price deviation over its spread
SIZE_PEER = 10
MAX_PEER_AGE_S = 2.0
