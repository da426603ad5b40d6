package main

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
)

func TestOnlyReadingIsReported(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), analyzer, "tombstone/proxy", "tombstone/test/e2e")
}
