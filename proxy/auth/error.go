package auth

import "fmt"

// SQLSTATEs, from PostgreSQL's errcodes.txt.
const (
	codeProtocol      = "08P01" // protocol_violation
	codeUnsupported   = "0A000" // feature_not_supported
	codeAuthorization = "28000" // invalid_authorization_specification
	codePassword      = "28P01" // invalid_password
	codeInternal      = "XX000" // internal_error
)

// Error is a refusal, in the fields of an ErrorResponse whose severity is FATAL. It holds no secret. Text that a peer sent
// is in it only as printable ASCII, and cut.
type Error struct {
	Code    string // SQLSTATE
	Message string
	Detail  string // "" for none
	Hint    string // "" for none
	Log     string // why, for the operator only: it may say that a user does not exist. "" when Message says it
}

// Error is the message with its detail and SQLSTATE, without Log.
func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%s (SQLSTATE %s)", e.Message, e.Code)
	}
	return fmt.Sprintf("%s: %s (SQLSTATE %s)", e.Message, e.Detail, e.Code)
}

// malformed is a message that is not SCRAM.
func malformed(format string, args ...any) *Error {
	return &Error{Code: codeProtocol, Message: "malformed SCRAM message", Detail: fmt.Sprintf(format, args...)}
}

// wrongPassword is what PostgreSQL says whatever the reason was, see its auth_failed.
func wrongPassword(user, log string) *Error {
	return &Error{Code: codePassword, Message: fmt.Sprintf("password authentication failed for user \"%s\"", user), Log: log}
}
