package program

// What the tests of phones need to see of a program.
var (
	Replay     = replay
	ReplayFlow = replayFlow
	Sanity     = sanity
)
