//go:build gpu

#include "../../cudriver/standin/missing.c"
