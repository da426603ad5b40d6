// Package deploy checks that the files in deploy/ agree with tombstone: that the config in them loads, and that ports and paths
// are the same wherever they are written. Whether Kubernetes would take the files is the business of the module
// in the folder kubernetes.
package deploy
