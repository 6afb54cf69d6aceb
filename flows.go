package gifthorse

import (
	"context"
	"io"

	"gifthorse/evidence"
	"gifthorse/phone"
	"gifthorse/program"
)

// Flows finds every flow from a source of data to a sink in the apps at paths. rules lists sources and sinks as
// [program.ReadRules] has them; with nil those of package knowledge count.
func Flows(ctx context.Context, paths []string, rules io.Reader) ([]program.Flow, []evidence.Gap, error) {
	var list *program.Rules
	if rules != nil {
		var err error
		if list, err = program.ReadRules(rules); err != nil {
			return nil, nil, err
		}
	}
	ev, err := evidence.Open(ctx, paths, nil)
	if err != nil {
		return nil, nil, err
	}
	defer ev.Close()
	flows, gaps := program.Flows(ctx, phone.Build(ctx, ev, nil), list)
	return flows, append(ev.Gaps(), gaps...), ctx.Err()
}
