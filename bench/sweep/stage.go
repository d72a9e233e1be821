package sweep

import "context"

type stageKey struct{}

// OnStage returns a context under which Stage calls f, from any goroutine.
func OnStage(ctx context.Context, f func(stage string)) context.Context {
	return context.WithValue(ctx, stageKey{}, f)
}

// Stage tells whoever watches the case what it begins to do, in a word or two such as "measuring".
func Stage(ctx context.Context, stage string) {
	if f, ok := ctx.Value(stageKey{}).(func(string)); ok {
		f(stage)
	}
}
