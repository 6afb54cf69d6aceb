// Package check says what a check is. A check reads the models of a phone and reports findings;
// it never parses and never walks the firmware. It is a value with a function in it, kept in a
// folder of its own under checks, listed on one line there, and tested by package checktest on
// phones written as text.
//
// What a finding means for the phone's owner is not decided here: see package verdict.
package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

// A Check looks for one thing. It is logically constant.
type Check struct {
	// Name is the folder, the id in reports and the help topic. It is never changed, only retired.
	Name string
	// Doc is doc.md: the first line says what a finding means; then sections Why, Not seen,
	// Innocent, Measured and Sources. `gifthorse explain` prints it.
	Doc string
	// Question is the question its findings answer.
	Question Question
	// Needs lists the evidence without which the check's silence means nothing.
	Needs []evidence.Kind
	// Messages holds the sentences of the check's findings by their id, with {name} for the arguments.
	// A sentence is lower case, has no full stop and says who can do what to this phone.
	Messages map[string]string
	Run      func(*Pass) error
}

// A Question is one of the four that gifthorse answers.
type Question string

// The questions, in the order in which they are answered.
const (
	Identity Question = "identity"
	Backdoor Question = "backdoor"
	Wire     Question = "wire"
	Reports  Question = "reports"
)

// Questions lists the four in order.
var Questions = []Question{Identity, Backdoor, Wire, Reports}

// A Grade says how far a finding goes. The words are those of the report.
type Grade string

// The grades, gravest first.
const (
	Proven      Grade = "proven"      // shown completely by evidence; for a path: no gate on it holds
	Concealed   Grade = "concealed"   // a hidden function whose trigger was not found
	Undisclosed Grade = "undisclosed" // can send personal data where no question to the owner was found
	Weak        Grade = "weak"        // posture that makes an attack easier
	Lead        Grade = "lead"        // worth a look by an analyst; never moves an answer
)

// Grades lists the grades, gravest first.
var Grades = []Grade{Proven, Concealed, Undisclosed, Weak, Lead}

// A State says whether what was found is at work.
type State string

// The states.
const (
	Present  State = "present"
	Inactive State = "inactive"
	Active   State = "active"
	Seen     State = "seen"
)

// A Reach says who can set an effect off.
type Reach string

// The reaches, from the farthest to the nearest.
const (
	Network         Reach = "network"
	Radio           Reach = "radio message"
	AnyApp          Reach = "any app"
	PreinstalledApp Reach = "any preinstalled app"
	SameSigner      Reach = "same signer"
	Cable           Reach = "someone with a cable"
	Screen          Reach = "someone at the screen"
	BootOnly        Reach = "boot process"
)

// A Voucher is a source of trust in a fact, with what it proves and what it does not.
type Voucher string

// The vouchers.
const (
	PhoneItself  Voucher = "the phone's own word"
	PlatformFact Voucher = "AOSP's table"
	Attested     Voucher = "hardware attestation" // of some phone at some time; not that it is this one, nor when
)

// A Gate stands between reach and effect.
type Gate struct {
	What  string // in words: "permission com.oem.SEND (signature)"
	Holds program.Holds
	At    evidence.Ref
}

// A Finding is one thing found, with the evidence for it.
type Finding struct {
	Check      string
	Question   Question
	Grade      Grade
	Subject    string // whom it is about: a package, a service, the build
	MessageID  string
	Args       []Arg
	Effect     string // what happens, in a word of the design: "run a command"
	Reach      Reach
	Gates      []Gate
	Disclosure string // "shown to the owner: …", or where it was looked for and not found
	State      State
	Vouchers   []Voucher
	At         evidence.Ref
	// Witness leads from the outsider to the act, in the order a person tells it.
	Witness []program.Step
	// Also holds the other places of the same code (another slot, another ABI).
	Also     []evidence.Ref
	Innocent string // the innocent explanation, always given
	CWE      int
	Package  *phone.Package // the app that holds the code, or nil
	Entry    *Entry         // the way in, or nil

	text string
}

// An Entry names a way in from outside: a component with what a caller puts into its intent.
type Entry struct {
	Component string
	Action    string
	Extras    []string
}

// An Arg fills one {name} of a message.
type Arg struct{ Name, Value string }

// Text returns the finding's sentence in English.
func (f *Finding) Text() string { return f.text }

// ID returns a short name for the finding that is the same from run to run: it depends on what was
// found and in whom, not on where the input lies or in which order it was read.
func (f *Finding) ID() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00", f.Check, f.Subject, f.MessageID, f.Effect)
	for _, a := range f.Args {
		io.WriteString(h, a.Name+"\x00"+a.Value+"\x00")
	}
	if f.Entry != nil {
		io.WriteString(h, f.Entry.Component+"\x00"+f.Entry.Action)
	}
	return f.Check + "-" + hex.EncodeToString(h.Sum(nil))[:8]
}

// A Pass is one run of one check over one phone.
type Pass struct {
	Context context.Context
	Check   *Check
	Phone   *phone.Phone
	Program *program.Program
	report  func(Finding)
}

// NewPass returns a pass of c whose findings go to report.
func NewPass(ctx context.Context, c *Check, ph *phone.Phone, pr *program.Program, report func(Finding)) *Pass {
	return &Pass{Context: ctx, Check: c, Phone: ph, Program: pr, report: report}
}

// Report hands in a finding. It panics where the check breaks its own promises: an unknown message,
// an argument that the message wants and does not get, or no innocent explanation.
func (p *Pass) Report(f Finding) {
	f.Check = p.Check.Name
	if f.Question == "" {
		f.Question = p.Check.Question
	}
	if f.State == "" {
		f.State = Present
	}
	t, ok := p.Check.Messages[f.MessageID]
	if !ok {
		panic(fmt.Sprintf("check %s has no message %q", p.Check.Name, f.MessageID))
	}
	var pairs []string
	for _, a := range f.Args {
		pairs = append(pairs, "{"+a.Name+"}", a.Value)
	}
	f.text = strings.NewReplacer(pairs...).Replace(t) // in one pass: a value may hold braces
	if f.Innocent == "" {
		panic(fmt.Sprintf("check %s: finding %s names no innocent explanation", p.Check.Name, f.MessageID))
	}
	p.report(f)
}
