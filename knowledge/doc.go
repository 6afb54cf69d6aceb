// Package knowledge holds facts about the world that the rest of the program asks for: what AOSP declares, ships and publishes.
// The facts are commented text files in this folder, embedded in the binary; the code is the smallest loader that answers from them.
//
// A table is text whose rows are sorted by bytes, columns separated by tabs. Asking is a binary search in the text itself: nothing
// is parsed at start, and a fact that is never asked for costs nothing. Small tables that are wanted whole are parsed once, on demand.
//
// Every file says at its head where its facts come from, under which licence, of which date, and what it lacks. A name that is not
// in a table is unknown, not absent from the world: callers must not read "not found" as "does not exist on this phone".
//
// # Not read
//
// Nothing here reads a phone. Facts that a phone itself states (its own permissions, its own protected broadcasts) come first and
// are the caller's to join with these.
package knowledge
