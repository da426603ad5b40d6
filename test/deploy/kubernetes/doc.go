// Package kubernetes checks the manifests in deploy/kubernetes as an API server would when they are applied, without a
// cluster: with Kubernetes' own code, of the release that go.mod names.
//
// What comes in: the text of a manifest. What goes out: a list of problems, each naming the document and the field.
//
//  1. Strict decoding finds unknown and duplicate fields and wrong types (kubectl apply --validate=strict).
//  2. Defaulting, and then the API server's validation, find what is missing or makes no sense: a selector that does not
//     match its labels, a volume that nobody declared, a request above its limit, a misspelt enum.
//  3. The Pod Security admission plugin, at its strictest level, finds what a hardened namespace would turn away.
//
// What this cannot see: whether images, Secrets or nodes exist.
//
// To debug a finding, apply the file to any cluster with kubectl apply --dry-run=server: the words are the same.
package kubernetes
