package knowledge

import "testing"

func TestAttestation(t *testing.T) {
	for key, want := range map[string]string{
		"feb2ea7551ee316ed4bb443c8293b884dbfdea40b603ee3e4f4a897e4580fbae": "hardware", "3ee44512a1af2beb39c889490c60ea3f82e43f5d5a5532f5ab9419f676cd07ec": "hardware",
		"d5100c7942ef2e8310dc30ef82729680cf48d690735c3f68179a33c7c370f286": "software", "0000": "", "": "",
	} {
		if kind, name := AttestationRoot(key); kind != want || (name == "") != (want == "") {
			t.Errorf("%s: %q %q", key, kind, name)
		}
	}
	if AttestedSystem("9e6a8f3e0d761a780179f93acd5721ba1ab7c8c537c7761073c0a754b0e932de") != "GrapheneOS on a Pixel 9" || AttestedSystem("00") != "" {
		t.Error("attested systems")
	}
	if _, _, _, ok := AttestationStatus("1"); ok || AttestationStatusKnown() {
		t.Error("the copy of Google's list is said to be empty and is not")
	}
}
