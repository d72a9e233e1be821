// Package results is the record of what was measured: one Row per case, kept in a CSV that people and tools compare.
//
// The file is the only interface between a measurement and everything that reads it: nothing is recovered from file names or logs. Its columns are
// versioned (SchemaVersion) and documented one by one in docs/csv.md. A value that was not measured is an empty cell, never a zero, and a row whose
// numbers cannot be trusted has a status that says so and carries no throughput and no share of a peak.
//
// The package does not measure and does not aggregate; results/stats, results/chips and results/compare build on it.
package results
