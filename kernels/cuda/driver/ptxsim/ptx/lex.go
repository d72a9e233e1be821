package ptx

import "strings"

// token is a word or one punctuation mark.
type token struct {
	text string
	line int
}

// lex splits a text into tokens. Comments and debug directives' strings count as white space.
func lex(text string) []token {
	var ts []token
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(text[i:], "//"):
			i += until(text[i:], "\n")
		case strings.HasPrefix(text[i:], "/*"):
			n := until(text[i:], "*/")
			line += strings.Count(text[i:i+n], "\n")
			i = min(i+n+2, len(text))
		case c == '"':
			n := 1 + until(text[i+1:], "\"") + 1
			n = min(n, len(text)-i)
			ts = append(ts, token{text[i : i+n], line})
			i += n
		case isWord(c):
			n := wordLen(text[i:])
			ts = append(ts, token{text[i : i+n], line})
			i += n
		default:
			ts = append(ts, token{text[i : i+1], line})
			i++
		}
	}
	return ts
}

// until is the number of bytes before mark, or all.
func until(s, mark string) int {
	if n := strings.Index(s, mark); n >= 0 {
		return n
	}
	return len(s)
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c == '%' || c == '.'
}

// wordLen is the length of the word that s starts with. A double colon belongs to it (".L2::128B"), a single one ends a label.
func wordLen(s string) int {
	n := 0
	for n < len(s) {
		switch {
		case isWord(s[n]):
			n++
		case strings.HasPrefix(s[n:], "::"):
			n += 2
		default:
			return n
		}
	}
	return n
}
