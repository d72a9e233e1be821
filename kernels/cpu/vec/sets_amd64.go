package vec

var sets = []*Set{portable}
