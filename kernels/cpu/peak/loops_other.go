//go:build !amd64 && !arm64

package peak

func asmLoops(string) []loop { return nil }

func read(a, b, c []float32) { readGo(a, b, c) }

func triad(a, b, c []float32) { triadGo(a, b, c) }
