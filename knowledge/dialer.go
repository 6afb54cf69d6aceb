package knowledge

import (
	_ "embed"
	"slices"
)

// SecretCodeScheme is the scheme of the URI by which the dialer hands a code out (AOSP Telephony, TelephonyIntents.java).
const SecretCodeScheme = "android_secret_code"

//go:embed dialer-effects.tsv
var dialerEffectsTSV string

// WeighsBehindCode reports whether an effect (the id of a FactKind) weighs where a code typed on the dialer leads to it.
func WeighsBehindCode(id string) bool {
	return slices.ContainsFunc(rows(dialerEffectsTSV), func(f []string) bool { return f[0] == id })
}
