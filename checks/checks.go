// Package checks is the list of all checks. Each lives in a folder of its own below this one.
package checks

import (
	"gifthorse/check"
	"gifthorse/checks/attestation"
	"gifthorse/checks/bootimages"
	"gifthorse/checks/bootpersistence"
	"gifthorse/checks/brokentls"
	"gifthorse/checks/cleartext"
	"gifthorse/checks/commandsockets"
	"gifthorse/checks/concealment"
	"gifthorse/checks/confuseddeputy"
	"gifthorse/checks/databroadcast"
	"gifthorse/checks/datasent"
	"gifthorse/checks/debugposture"
	"gifthorse/checks/devicenodes"
	"gifthorse/checks/dialercodes"
	"gifthorse/checks/exposedprovider"
	"gifthorse/checks/intentredirect"
	"gifthorse/checks/packagecontrol"
	"gifthorse/checks/remotecommand"
	"gifthorse/checks/rootfiles"
	"gifthorse/checks/selinuxpolicy"
	"gifthorse/checks/signingkeys"
	"gifthorse/checks/smschannel"
	"gifthorse/checks/truststore"
	"gifthorse/checks/verifiedboot"
)

// All are the checks that a scan runs.
var All = []*check.Check{
	attestation.Check,
	bootimages.Check,
	bootpersistence.Check,
	brokentls.Check,
	cleartext.Check,
	commandsockets.Check,
	concealment.Check,
	confuseddeputy.Check,
	databroadcast.Check,
	datasent.Check,
	debugposture.Check,
	devicenodes.Check,
	dialercodes.Check,
	exposedprovider.Check,
	intentredirect.Check,
	packagecontrol.Check,
	remotecommand.Check,
	rootfiles.Check,
	selinuxpolicy.Check,
	signingkeys.Check,
	smschannel.Check,
	truststore.Check,
	verifiedboot.Check,
}
