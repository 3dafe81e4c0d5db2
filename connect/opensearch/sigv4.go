package opensearch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

// sigV4 signs requests with AWS credentials, found where the SDK usually looks.
type sigV4 struct {
	service, region string
	credentials     aws.CredentialsProvider
	signer          *v4.Signer
}

func newSigV4(ctx context.Context, service, region string) (signer, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth: AWS configuration: %w", err)
	}
	if region == "" {
		region = c.Region
	}
	if region == "" {
		return nil, fmt.Errorf("auth: sigv4 needs a region: set AWS_REGION")
	}
	return &sigV4{service, region, c.Credentials, v4.NewSigner()}, nil
}

func (s *sigV4) sign(r *http.Request, body []byte) error {
	credentials, err := s.credentials.Retrieve(r.Context())
	if err != nil {
		return fmt.Errorf("AWS credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash) // Serverless asks for it
	return s.signer.SignHTTP(r.Context(), credentials, r, hash, s.service, s.region, time.Now())
}
