// Package report says a scan's result to people and to programs. It alone knows JSON, HTML and terminals.
//
// [New] turns the result of a scan into a [Report], which is the wire form itself: one document, "schema":
// "gifthorse.report/1". [Report.JSON], [Report.HTML] and [Report.Text] print it; [Read] reads it back. Nothing
// in a report depends on the time, the machine or the order of work: the same input gives the same bytes.
// A [Diff] is the same for what differs between two phones ("gifthorse.diff/1"), and [SBOM] lists what one holds.
//
// Text that comes from a phone is never trusted. JSON escapes what does not print. In a terminal and on a page,
// control characters, escape sequences, characters that change the direction of writing and characters that
// cannot be seen stand there visibly, as \u{202e}; the page has no script and loads nothing.
//
// # Not written
//
// SARIF; other languages than English (a message's id and arguments are in the JSON form for that).
package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/verdict"
)

// Schema names the form. A reader of version 1 can read every report that has this name.
const Schema = "gifthorse.report/1"

// A Report is the wire form of a scan's result. Lists are never null.
type Report struct {
	Schema        string         `json:"schema"`
	Tool          Tool           `json:"tool"`
	Inputs        []Input        `json:"inputs"`
	Device        Device         `json:"device"`
	Decision      Decision       `json:"decision"`
	Answers       []Answer       `json:"answers"`
	Findings      []Finding      `json:"findings"`
	Indicators    []Indicator    `json:"indicators"`
	Apps          []App          `json:"apps"`
	Modules       []Module       `json:"modules"`
	Conversations []Conversation `json:"conversations"`
	Gaps          []Gap          `json:"gaps"`
	Coverage      []Coverage     `json:"coverage"`
	Limits        []string       `json:"limits"`
}

// A Tool is the program that made a report, with the facts it had.
type Tool struct {
	Version         string `json:"version"`
	Commit          string `json:"commit"`
	KnowledgeSHA256 string `json:"knowledge_sha256"`
	KnowledgeDate   string `json:"knowledge_date"`
}

// An Input is one thing that was given to be read. Hashes are lower-case hexadecimal.
type Input struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// A Device is who the phone says it is.
type Device struct {
	Brand        string `json:"brand"`
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Name         string `json:"name"`
	Fingerprint  string `json:"fingerprint"`
	Android      string `json:"android"`
	API          int    `json:"api"`
	Patch        string `json:"patch"`
	BuildType    string `json:"build_type"`
	BuildTags    string `json:"build_tags"`
	BuildDate    string `json:"build_date"`
	Board        string `json:"board"`
	ABI          string `json:"abi"`
}

// A Decision is what to tell the person who holds the phone.
type Decision struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Text    string   `json:"text"` // paragraphs, separated by an empty line
	Next    []string `json:"next"`
	Because []string `json:"because"`
}

// An Answer is the answer to one of the four questions.
type Answer struct {
	Question check.Question `json:"question"`
	Level    verdict.Level  `json:"level"`
	Text     string         `json:"text"`
	Because  []string       `json:"because"` // ids of findings
	Unseen   []string       `json:"unseen"`  // ids of gaps
}

// A Finding is one thing found. Addresses are printed [evidence.Ref]s.
type Finding struct {
	ID         string            `json:"id"`
	Check      string            `json:"check"`
	Question   check.Question    `json:"question"`
	Grade      check.Grade       `json:"grade"`
	Subject    string            `json:"subject"`
	Message    string            `json:"message"`
	MessageID  string            `json:"message_id"`
	Args       map[string]string `json:"args"`
	Effect     string            `json:"effect"`
	Reach      check.Reach       `json:"reach"`
	Gates      []Gate            `json:"gates"`
	Disclosure string            `json:"disclosure"`
	State      check.State       `json:"state"`
	Vouchers   []string          `json:"vouchers"`
	At         string            `json:"at"`
	Also       []string          `json:"also"` // the same in other places
	Witness    []Step            `json:"witness"`
	Innocent   string            `json:"innocent"`
	CWE        int               `json:"cwe"`    // 0 if none fits
	Origin     *Origin           `json:"origin"` // null if no app holds it
	Entry      *Entry            `json:"entry"`  // null if nothing of an app is the way in
}

// A Gate stands between reach and effect. Holds is "holds", "does not hold" or "unknown".
type Gate struct {
	What  string `json:"what"`
	Holds string `json:"holds"`
	At    string `json:"at"`
}

// A Step is one step from the outsider to the act.
type Step struct {
	At   string `json:"at"`
	What string `json:"what"`
}

// An Origin is the app that holds what was found.
type Origin struct {
	Package     string `json:"package"`
	VersionCode int64  `json:"version_code"`
	UID         string `json:"uid"`
	Signer      string `json:"signer"`
	FileSHA256  string `json:"file_sha256"`
}

// An Entry is the component that is the way in.
type Entry struct {
	Component string   `json:"component"`
	Action    string   `json:"action"`
	Extras    []string `json:"extras"`
}

// An Indicator is a hit in a published list. None moves an answer.
type Indicator struct {
	List    string `json:"list"`
	Date    string `json:"date"`
	Matched string `json:"matched"`
	At      string `json:"at"`
}

// An App is an installed app. Signature is "verified", "broken" or "none".
type App struct {
	Package     string   `json:"package"`
	VersionCode int64    `json:"version_code"`
	Version     string   `json:"version"`
	Label       string   `json:"label"`
	Path        string   `json:"path"`
	SHA256      string   `json:"sha256"`
	Signature   string   `json:"signature"`
	Problem     string   `json:"signature_problem"`
	Schemes     []string `json:"schemes"`
	Signers     []string `json:"signers"`
	UID         string   `json:"uid"`
	Privileged  bool     `json:"privileged"`
}

// A Module is a part of the system that comes as a file of its own (APEX).
type Module struct {
	Name     string   `json:"name"`
	Version  int64    `json:"version"`
	Path     string   `json:"path"`
	Mount    string   `json:"mount"` // "" if the phone does not use it
	SHA256   string   `json:"sha256"`
	Verified bool     `json:"verified"` // its image is the one that its key signed
	Key      string   `json:"key"`
	Problem  string   `json:"problem"`
	Signers  []string `json:"signers"` // of the container
}

// A Conversation is what the phone was seen to say on the network.
type Conversation struct {
	Transport string `json:"transport"`
	Client    string `json:"client"`
	Server    string `json:"server"`
	Port      int    `json:"port"`
	Host      string `json:"host"`
	First     string `json:"first"`
	Last      string `json:"last"`
	BytesUp   int64  `json:"bytes_up"`
	BytesDown int64  `json:"bytes_down"`
	App       string `json:"app"`
	Cleartext bool   `json:"cleartext"`
	TLS       *TLS   `json:"tls"`
}

// TLS is what a conversation's handshake says.
type TLS struct {
	Version string `json:"version"`
	SNI     string `json:"sni"`
	ALPN    string `json:"alpn"`
	JA3     string `json:"ja3"`
	JA4     string `json:"ja4"`
}

// A Gap is something that was not seen, and why.
type Gap struct {
	ID     string `json:"id"`
	At     string `json:"at"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// Coverage counts how much of one kind of evidence was read.
type Coverage struct {
	What   evidence.Kind `json:"what"`
	Listed int           `json:"listed"`
	Read   int           `json:"read"`
	Failed int           `json:"failed"`
}

// A Scan is what a report is made of.
type Scan struct {
	Version, Commit string // of the program
	Inputs          []evidence.Input
	Phone           *phone.Phone
	Findings        []check.Finding
	Coverage        []evidence.Coverage
	Gaps            []evidence.Gap
	Verdict         verdict.Verdict
}

// New makes the report of a scan. It hashes the files of the apps on all cores.
func New(s Scan) *Report {
	r := &Report{
		Schema:        Schema,
		Tool:          Tool{s.Version, s.Commit, knowledge.Hash(), knowledge.Date()},
		Inputs:        inputs(s),
		Device:        device(s.Phone),
		Findings:      []Finding{},
		Indicators:    []Indicator{},
		Apps:          []App{},
		Modules:       []Module{},
		Conversations: []Conversation{},
		Gaps:          []Gap{},
		Coverage:      []Coverage{},
		Limits:        []string{},
	}
	hashes := map[*evidence.File]string{}
	if s.Phone != nil {
		var files []*evidence.File
		for _, p := range s.Phone.Packages {
			files = append(files, p.File)
		}
		for _, m := range s.Phone.Modules {
			files = append(files, m.File)
		}
		hashes = sums(files, nil)
		for _, p := range s.Phone.Packages {
			r.Apps = append(r.Apps, app(p, hashes))
		}
		for _, m := range s.Phone.Modules {
			x := Module{m.Name, m.Version, m.File.Path, m.Mount, hashes[m.File], m.Verified, m.Key, m.Problem, []string{}}
			for _, c := range m.Package.Signers {
				x.Signers = append(x.Signers, c.SHA256)
			}
			r.Modules = append(r.Modules, x)
		}
	}
	sorted := slices.Clone(s.Findings)
	verdict.Sort(sorted)
	for i := range sorted {
		r.Findings = append(r.Findings, finding(&sorted[i], hashes))
	}
	gaps := slices.Clone(s.Gaps)
	for _, a := range s.Verdict.Answers {
		gaps = append(gaps, a.Unseen...)
	}
	slices.SortFunc(gaps, func(a, b evidence.Gap) int {
		return cmp.Or(evidence.Compare(a.At, b.At), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Detail, b.Detail))
	})
	for _, g := range slices.Compact(gaps) {
		r.Gaps = append(r.Gaps, Gap{gapID(g), g.At.String(), g.Reason.String(), g.Detail})
	}
	for _, c := range s.Coverage {
		r.Coverage = append(r.Coverage, Coverage{c.What, c.Listed, c.Read, c.Failed})
	}
	slices.SortStableFunc(r.Coverage, func(a, b Coverage) int { return cmp.Compare(a.What, b.What) })
	for _, l := range knowledge.Limits() {
		r.Limits = append(r.Limits, l.Text)
	}
	d := s.Verdict.Decision
	r.Decision = Decision{d.ID, d.Title, paragraphs(d.Text), list(d.Next), list(d.Because)}
	r.Answers = []Answer{}
	for _, a := range s.Verdict.Answers {
		unseen := []string{}
		for _, g := range a.Unseen {
			unseen = append(unseen, gapID(g))
		}
		r.Answers = append(r.Answers, Answer{a.Question, a.Level, answerText(a, r.Findings), list(a.Because), unseen})
	}
	return r
}

func inputs(s Scan) []Input {
	out := []Input{}
	for _, in := range s.Inputs {
		out = append(out, Input{in.Name, in.Kind, hexSum(in.SHA256), in.Size})
	}
	return out
}

func device(ph *phone.Phone) Device {
	if ph == nil {
		return Device{}
	}
	d := ph.Device
	return Device{d.Brand, d.Manufacturer, d.Model, d.Name, d.Fingerprint, d.Android, ph.API, d.Patch,
		d.BuildType, d.BuildTags, d.BuildDate, d.Board, d.ABI}
}

func finding(f *check.Finding, hashes map[*evidence.File]string) Finding {
	out := Finding{
		ID: f.ID(), Check: f.Check, Question: f.Question, Grade: f.Grade, Subject: f.Subject, Message: f.Text(), MessageID: f.MessageID,
		Args: map[string]string{}, Effect: f.Effect, Reach: f.Reach, Gates: []Gate{}, Disclosure: f.Disclosure, State: f.State,
		Vouchers: []string{}, At: f.At.String(), Also: []string{}, Witness: []Step{}, Innocent: f.Innocent, CWE: f.CWE,
	}
	for _, a := range f.Args {
		out.Args[a.Name] = a.Value
	}
	for _, g := range f.Gates {
		out.Gates = append(out.Gates, Gate{g.What, g.Holds.String(), g.At.String()})
	}
	for _, v := range f.Vouchers {
		out.Vouchers = append(out.Vouchers, string(v))
	}
	for _, a := range f.Also {
		out.Also = append(out.Also, a.String())
	}
	for _, s := range f.Witness {
		out.Witness = append(out.Witness, Step{s.At.String(), s.What})
	}
	if p := f.Package; p != nil {
		out.Origin = &Origin{Package: p.Name, VersionCode: p.VersionCode, UID: p.UID(), FileSHA256: hashes[p.File]}
		if len(p.Signature.Signers) > 0 {
			out.Origin.Signer = p.Signature.Signers[0].SHA256
		}
	}
	if e := f.Entry; e != nil {
		out.Entry = &Entry{e.Component, e.Action, list(e.Extras)}
	}
	return out
}

func app(p *phone.Package, hashes map[*evidence.File]string) App {
	a := App{Package: p.Name, VersionCode: p.VersionCode, Version: p.VersionName, Label: p.Label, Path: p.Manifest.String(),
		SHA256: hashes[p.File], Signature: p.Signature.Verdict, Problem: p.Signature.Problem, Schemes: list(p.Signature.Schemes),
		Signers: []string{}, UID: p.UID(), Privileged: p.Privileged}
	if p.File != nil {
		a.Path = p.File.Path
	}
	switch a.Signature {
	case "stripped": // the form knows three words: a phone refuses the file as it is
		a.Signature = "broken"
	case "":
		a.Signature = "none"
	}
	for _, s := range p.Signature.Signers {
		a.Signers = append(a.Signers, s.SHA256)
	}
	return a
}

// gapID is the same for the same gap in every report.
func gapID(g evidence.Gap) string {
	sum := sha256.Sum256([]byte(g.At.String() + "\x00" + g.Reason.String() + "\x00" + g.Detail))
	return "gap-" + hex.EncodeToString(sum[:4])
}

// hexSum is "" for the zero sum, which stands for "not read".
func hexSum(sum [32]byte) string {
	if sum == [32]byte{} {
		return ""
	}
	return hex.EncodeToString(sum[:])
}

// list is s, but never null in JSON.
func list(s []string) []string { return append([]string{}, s...) }
