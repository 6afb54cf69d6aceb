//go:build race

package program_test

const racing = true
