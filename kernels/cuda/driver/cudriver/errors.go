//go:build gpu

package cudriver

import (
	"errors"
	"fmt"
	"reflect"

	"ofpeak/kernels/cuda/driver"
)

// failure wraps what a call of cu or of our own returned, nil if nothing.
func failure(call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cudriver: %s: %w", call, code(err))
}

// code turns an error of cu, whose type it does not export, into ours. Both are CUDA's number.
func code(err error) error {
	var ours driver.Error
	if errors.As(err, &ours) {
		return err
	}
	if v := reflect.ValueOf(err); err != nil && v.Kind() == reflect.Int {
		return driver.Error(v.Int())
	}
	return err
}

// sticky tells whether the error loses its context.
func sticky(err error) bool {
	var e driver.Error
	return errors.As(err, &e) && e.Sticky()
}
