package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install" // each install package teaches the scheme its kinds and defaults
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
)

// Review returns what an API server would have against a manifest of one or more YAML documents. No problems means that
// kubectl apply would accept it, without a warning, in a namespace that enforces the restricted security level.
func Review(manifest []byte) (problems []string) {
	objects, problems := decode(manifest)
	for i, object := range objects {
		for _, problem := range check(object) {
			problems = append(problems, fmt.Sprintf("document %d: %s", i+1, problem))
		}
	}
	return problems
}

// decode reads each document strictly. The objects are of the versioned types, such as *appsv1.Deployment.
func decode(manifest []byte) (objects []runtime.Object, problems []string) {
	scheme := legacyscheme.Scheme
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	for n := 1; ; n++ {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, problems
		}
		if err != nil {
			return objects, append(problems, fmt.Sprintf("document %d: %v", n, err))
		}
		object, _, err := strict.Decode(text, nil, nil)
		if err != nil {
			problems = append(problems, fmt.Sprintf("document %d: %v", n, err))
			continue
		}
		objects = append(objects, object)
	}
}

// check runs defaulting, validation and pod security on one object, in the API server's order.
func check(object runtime.Object) (problems []string) {
	scheme := legacyscheme.Scheme
	ctx := context.Background()
	scheme.Default(object)
	if m, err := meta.Accessor(object); err != nil {
		return []string{err.Error()}
	} else if m.GetNamespace() == "" {
		m.SetNamespace("default") // kubectl puts its current namespace into what names none
	}

	internal, err := scheme.ConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return []string{err.Error()}
	}
	var found field.ErrorList
	switch o := internal.(type) {
	case *core.ConfigMap:
		found = corevalidation.ValidateConfigMap(o)
	case *apps.Deployment:
		template := &o.Spec.Template
		found = appsvalidation.ValidateDeployment(o, pod.GetValidationOptionsFromPodTemplate(template, nil))
		problems = pod.GetWarningsForPodTemplate(ctx, field.NewPath("spec", "template"), template, nil)
	case *policy.PodDisruptionBudget:
		// The API server checks the metadata of this kind elsewhere.
		found = corevalidation.ValidateObjectMeta(&o.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
		found = append(found, policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{})...)
	default:
		return []string{fmt.Sprintf("no rule checks a %T yet; add its validation to review.go", object)}
	}
	// Part of the rules is written by hand for the internal types, above; part is generated for the versioned ones.
	found = append(found, scheme.Validate(ctx, nil, object)...)
	for _, e := range found {
		if text := e.Error(); !slices.Contains(problems, text) {
			problems = append(problems, text)
		}
	}
	if d, ok := object.(*appsv1.Deployment); ok {
		problems = append(problems, insecure(d)...)
	}
	return problems
}

// insecure returns what the pods of a Deployment do that the restricted level of the Pod Security Standards forbids.
func insecure(d *appsv1.Deployment) (problems []string) {
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec) {
		if !result.Allowed {
			problems = append(problems, fmt.Sprintf("not allowed at security level restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
	return problems
}
