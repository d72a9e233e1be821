package results

import (
	"slices"
	"strings"
)

// Words are a case's line for people: field by field, the values alone where they speak for themselves, and without the fields that are named.
func Words(line string, without ...string) []string {
	var words []string
	for field := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(field, "=")
		if slices.Contains(without, key) {
			continue
		}
		switch key {
		case "technique", "precision", "model", "engine", "pass", "schedule", "layout", "isa":
			field = value
		}
		words = append(words, field)
	}
	return words
}

// ModelOf is the model of a case's line: a preset, with what was changed of it, or all dims. It is empty where the line has none.
func ModelOf(line string) string {
	for field := range strings.FieldsSeq(line) {
		if model, ok := strings.CutPrefix(field, "model="); ok {
			return model
		}
	}
	return ""
}

// ShortCommit keeps twelve characters of a commit, and the mark of a changed tree.
func ShortCommit(commit string) string {
	hash, changed := strings.CutSuffix(commit, "+")
	hash = hash[:min(12, len(hash))]
	if changed {
		hash += "+"
	}
	return hash
}
