// Package checks is the list of all checks. Each lives in a folder of its own below this one.
package checks

import (
	"gifthorse/check"
	"gifthorse/checks/bootpersistence"
	"gifthorse/checks/cleartext"
	"gifthorse/checks/confuseddeputy"
	"gifthorse/checks/debugposture"
	"gifthorse/checks/dialercodes"
	"gifthorse/checks/exposedprovider"
	"gifthorse/checks/packagecontrol"
	"gifthorse/checks/signingkeys"
	"gifthorse/checks/truststore"
)

// All are the checks that a scan runs.
var All = []*check.Check{
	bootpersistence.Check,
	cleartext.Check,
	confuseddeputy.Check,
	debugposture.Check,
	dialercodes.Check,
	exposedprovider.Check,
	packagecontrol.Check,
	signingkeys.Check,
	truststore.Check,
}
