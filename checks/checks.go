// Package checks is the list of all checks. Each lives in a folder of its own below this one.
package checks

import (
	"gifthorse/check"
	"gifthorse/checks/confuseddeputy"
	"gifthorse/checks/exposedprovider"
)

// All are the checks that a scan runs.
var All = []*check.Check{
	confuseddeputy.Check,
	exposedprovider.Check,
}
