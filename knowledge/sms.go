package knowledge

import _ "embed"

//go:embed sms.tsv
var smsTSV string

// RadioMessage returns what a broadcast of this action tells: its kind ("text", "data", "push", "cell", or "deliver" where only the messaging app
// gets it), and words for it; "" if it tells no message that came in by radio.
func RadioMessage(action string) (kind, words string) {
	for _, f := range rows(smsTSV) {
		if f[0] == action {
			return f[1], f[2]
		}
	}
	return "", ""
}
