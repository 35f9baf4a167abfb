"""The words everyone speaks: errors, time, trading days, phases, instruments, orders. Pure, no I/O, light imports."""
