//go:build !amd64 && !arm64

package gemm

// asmEngines returns nothing: only the portable variants exist here.
func asmEngines(Type) []*engine { return nil }
