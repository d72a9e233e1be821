package simt

// specials are the registers that a thread's place determines (PTX ISA, section "Special Registers").
var specials = map[string]func(w *warp, lane int) uint64{
	"%laneid":      func(w *warp, lane int) uint64 { return uint64(lane) },
	"%warpid":      func(w *warp, lane int) uint64 { return uint64(w.index) },
	"%nwarpid":     func(w *warp, lane int) uint64 { return uint64(len(w.block.warps)) },
	"%lanemask_eq": func(w *warp, lane int) uint64 { return 1 << lane },
	"%lanemask_lt": func(w *warp, lane int) uint64 { return 1<<lane - 1 },
	"%lanemask_le": func(w *warp, lane int) uint64 { return 2<<lane - 1 },
	"%lanemask_gt": func(w *warp, lane int) uint64 { return uint64(full) &^ (2<<lane - 1) },
	"%lanemask_ge": func(w *warp, lane int) uint64 { return uint64(full) &^ (1<<lane - 1) },
}

func init() {
	for i, axis := range []string{"x", "y", "z"} {
		specials["%tid."+axis] = func(w *warp, lane int) uint64 { return uint64(w.block.thread(w.index*warpSize + lane)[i]) }
		specials["%ntid."+axis] = func(w *warp, lane int) uint64 { return uint64(w.block.grid.Block[i]) }
		specials["%ctaid."+axis] = func(w *warp, lane int) uint64 { return uint64(w.block.id[i]) }
		specials["%nctaid."+axis] = func(w *warp, lane int) uint64 { return uint64(w.block.grid.Grid[i]) }
	}
}
