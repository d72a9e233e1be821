// Package workload says what is measured: Case is one measurement, Expand makes cases from lists of options, suites are such lists as
// data, and each workload turns a case into something that runs. Cases know no machine: what a device can run is asked of the device.
package workload
