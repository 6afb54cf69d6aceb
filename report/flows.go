package report

import (
	"encoding/json"
	"fmt"
	"io"

	"gifthorse/evidence"
	"gifthorse/program"
)

type flowsForm struct {
	Schema string     `json:"schema"`
	Flows  []flowForm `json:"flows"`
	Gaps   []gapForm  `json:"gaps"`
}

type flowForm struct {
	Source  flowEnd    `json:"source"`
	Sink    flowEnd    `json:"sink"`
	Witness []flowStep `json:"witness"`
}

type flowEnd struct {
	Call string `json:"call"`
	In   string `json:"in"`
}

type flowStep struct {
	At   string `json:"at"`
	What string `json:"what"`
}

type gapForm struct {
	At     string `json:"at"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// FlowsJSON writes flows as one document of the form "gifthorse.flows/1".
func FlowsJSON(w io.Writer, flows []program.Flow, gaps []evidence.Gap) error {
	f := flowsForm{Schema: "gifthorse.flows/1", Flows: []flowForm{}, Gaps: []gapForm{}}
	for _, x := range flows {
		one := flowForm{Source: flowEnd{x.Source.Call, x.Source.In}, Sink: flowEnd{x.Sink.Call, x.Sink.In}}
		for _, s := range x.Steps {
			one.Witness = append(one.Witness, flowStep{s.At.String(), Visible(s.What)})
		}
		f.Flows = append(f.Flows, one)
	}
	for _, g := range gaps {
		f.Gaps = append(f.Gaps, gapForm{g.At.String(), g.Reason.String(), Visible(g.Detail)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(f)
}

// FlowsText writes flows for a person.
func FlowsText(w io.Writer, flows []program.Flow, gaps []evidence.Gap) {
	for i, x := range flows {
		fmt.Fprintf(w, "%d. %s\n   in %s\n   reaches %s\n   in %s\n", i+1, Visible(x.Source.Call), Visible(x.Source.In), Visible(x.Sink.Call), Visible(x.Sink.In))
		for _, s := range x.Steps {
			fmt.Fprintf(w, "     %s\n       %s\n", Visible(s.What), Visible(s.At.String()))
		}
	}
	fmt.Fprintf(w, "%d flows, %d gaps\n", len(flows), len(gaps))
	for _, g := range gaps {
		fmt.Fprintf(w, "gap: %s: %s %s\n", g.Reason, Visible(g.Detail), Visible(g.At.String()))
	}
}
