package secretname

import (
	"strings"
	"testing"
)

func TestIs(t *testing.T) {
	const secrets = `password newPassword user_passwd passphrase passcode pwd secret clientSecret SECRET_KEY credentials token accessToken session-token
		refresh_token csrfToken tokens bearer Authorization apiKey api_key X-API-Key apikey accessKey tokenid privateKey private.key signingKey
		encryption-key sshKey sessionId Cookie jwt pin PIN cardPin cvv cvc cvv2 card_cvv otp totp otpCode securityCode account_key`
	for name := range strings.FieldsSeq(secrets) {
		if !Is(name) {
			t.Errorf("%s is not known for a secret", name)
		}
	}
	const others = `name id region tenant key keys keyword monkey author passenger compass path pinned spin opinion shipping tokenCount pageToken
		nextPageToken next_token continuation-token max_tokens maxInputTokens cvvs hotpot optional session sessions tokenId credentialName secret_ids token-name aws_access_key_id username`
	for name := range strings.FieldsSeq(others) {
		if Is(name) {
			t.Errorf("%s is taken for a secret", name)
		}
	}
}
