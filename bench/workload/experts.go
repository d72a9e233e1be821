package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Experts is a mixture of experts in place of each block's MLP; the zero Experts is none.
type Experts struct {
	Count    int     // experts of a block
	TopK     int     // experts that a token takes
	Capacity float64 // capacity factor
	Parts    int     // groups of a sequence's tokens that each share the capacity; 0: one
}

// String is as ParseExperts reads it: none, or COUNTxTOPK@CAPACITY, with /PARTS where there are several.
func (e Experts) String() string {
	if e == (Experts{}) {
		return None
	}
	text := fmt.Sprintf("%dx%d@%s", e.Count, e.TopK, strconv.FormatFloat(e.Capacity, 'g', -1, 64))
	if e.Parts > 1 {
		text += fmt.Sprintf("/%d", e.Parts)
	}
	return text
}

// ParseExperts reads none, or 8x1@1.25 for 8 experts, 1 a token, with a capacity factor of 1.25; or 8x1@1.25/4, where a quarter of a sequence shares the capacity.
func ParseExperts(s string) (Experts, error) {
	if s == None {
		return Experts{}, nil
	}
	all, parts, cut := strings.Cut(s, "/")
	counts, capacity, ok := strings.Cut(all, "@")
	count, topK, both := strings.Cut(counts, "x")
	var e Experts
	var errs [4]error
	e.Count, errs[0] = strconv.Atoi(count)
	e.TopK, errs[1] = strconv.Atoi(topK)
	e.Capacity, errs[2] = strconv.ParseFloat(capacity, 64)
	if cut {
		if e.Parts, errs[3] = strconv.Atoi(parts); e.Parts == 1 {
			e.Parts = 0
		}
	}
	for _, err := range errs {
		if !ok || !both || err != nil || e.Parts < 0 {
			return Experts{}, fmt.Errorf("--experts %s is unknown; take none or EXPERTSxCHOICES@CAPACITY, such as 8x1@1.25, with /GROUPS of a sequence if there are several", s)
		}
	}
	return e, nil
}

// checkExperts looks at a case's mixture of experts and at how it is spread.
func checkExperts(c Case) error {
	e := c.Experts
	switch {
	case e == (Experts{}) && c.EP > 1:
		return fmt.Errorf("ep=%d spreads experts; pass --experts %dx1@1.25", c.EP, 2*c.EP)
	case e == (Experts{}):
		return nil
	case e.TopK < 1 || e.TopK > 2 || e.Count < max(2, e.TopK) || e.Count > maxRanks || !(e.Capacity > 0 && e.Capacity <= 1000):
		return fmt.Errorf("--experts %s: take 2 or more experts, 1 or 2 choices and a capacity factor above 0, such as 8x1@1.25", e)
	case e.Parts < 0 || c.Model.T%max(1, e.Parts) != 0:
		return fmt.Errorf("--experts %s: T=%d tokens make no %d groups that share the experts' capacity; change one", e, c.Model.T, e.Parts)
	case c.CP > 1 && max(1, e.Parts)%(2*c.CP) != 0:
		return fmt.Errorf("--experts %s: cp=%d splits the tokens that share the experts' capacity; pass --experts %s", e, c.CP, Experts{e.Count, e.TopK, e.Capacity, 2 * c.CP})
	case e.Count%c.EP != 0:
		return fmt.Errorf("--experts %s cannot be split over ep=%d ranks; change one", e, c.EP)
	case 4*c.Model.C/e.TopK%c.TP != 0:
		return fmt.Errorf("--experts %s of width %d cannot be split over tp=%d ranks; change C or --ranks", e, 4*c.Model.C/e.TopK, c.TP)
	}
	return nil
}
