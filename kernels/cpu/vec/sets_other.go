//go:build !amd64

package vec

var sets = []*Set{portable}
