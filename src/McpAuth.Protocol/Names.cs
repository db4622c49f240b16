namespace McpAuth.Protocol;

/// <summary>Every name that appears on the wire, once, grouped by the document that defines it.</summary>
public static class Names
{
    /// <summary>RFC 6749, OAuth 2.1.</summary>
    public static class OAuth
    {
        public const string GrantType = "grant_type", ClientId = "client_id", ClientSecret = "client_secret", Scope = "scope",
            ClientCredentials = "client_credentials", AccessToken = "access_token", TokenType = "token_type", Bearer = "Bearer",
            AuthorizationCode = "authorization_code", RefreshToken = "refresh_token", Code = "code", RedirectUri = "redirect_uri", State = "state",
            ResponseType = "response_type", ResponseMode = "response_mode", Error = "error", ErrorDescription = "error_description";
    }

    /// <summary>RFC 7636.</summary>
    public static class Pkce
    {
        public const string Challenge = "code_challenge", Method = "code_challenge_method", Verifier = "code_verifier", S256 = "S256";
    }

    /// <summary>RFC 9207, RFC 9126, RFC 9470, and what of OpenID Connect Core §3.1.2.1 an authorization request may carry; request objects (RFC 9101) are not offered.</summary>
    public static class Authorization
    {
        public const string Iss = "iss", Prompt = "prompt", MaxAge = "max_age", Request = "request", RequestUri = "request_uri",
            AcrValues = "acr_values", Query = "query", FormPost = "form_post";
        public const string PromptNone = "none", PromptLogin = "login", PromptConsent = "consent", PromptSelectAccount = "select_account";
    }

    /// <summary>OpenID Connect Core §3.1.2.1, §5.1, RP-Initiated Logout §2; claims of its own stand with the others.</summary>
    public static class OpenId
    {
        public const string IdTokenHint = "id_token_hint", PostLogoutRedirectUri = "post_logout_redirect_uri";
    }

    /// <summary>RFC 7662, RFC 9701.</summary>
    public static class Introspection
    {
        public const string Token = "token", Active = "active", SignedMediaType = "application/token-introspection+jwt", Answer = "token_introspection";
    }

    /// <summary>Error codes: RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5, RFC 9449 §5, RFC 6750 §3.1, RFC 8628 §3.5.</summary>
    public static class Errors
    {
        public const string InvalidRequest = "invalid_request", InvalidClient = "invalid_client", InvalidGrant = "invalid_grant",
            UnauthorizedClient = "unauthorized_client", UnsupportedGrantType = "unsupported_grant_type", InvalidScope = "invalid_scope",
            InvalidTarget = "invalid_target", InvalidAuthorizationDetails = "invalid_authorization_details",
            InvalidDpopProof = "invalid_dpop_proof", InvalidToken = "invalid_token", InsufficientScope = "insufficient_scope",
            AccessDenied = "access_denied", UnsupportedResponseType = "unsupported_response_type", LoginRequired = "login_required",
            ConsentRequired = "consent_required", RequestNotSupported = "request_not_supported", RequestUriNotSupported = "request_uri_not_supported",
            TemporarilyUnavailable = "temporarily_unavailable", ServerError = "server_error", UnsupportedTokenType = "unsupported_token_type",
            UnmetAuthenticationRequirements = "unmet_authentication_requirements", SlowDown = "slow_down";
        /// <summary>The member beside <c>error</c> that tells an agent why an exchange was refused.</summary>
        public const string ReasonMember = "mcpauth_reason";
    }

    /// <summary>Values of <see cref="Errors.ReasonMember"/>; the same words are audit reasons.</summary>
    public static class Reasons
    {
        public const string Expired = "expired", Revoked = "revoked", ActorUnauthorized = "actor_unauthorized", NotPresenter = "not_presenter",
            Depth = "depth", TaskEnded = "task_ended", TaskSuspended = "task_suspended", AgentSuspended = "agent_suspended",
            InstanceEnded = "instance_ended", UserDisabled = "user_disabled", WrongType = "wrong_type", Foreign = "foreign_issuer",
            Malformed = "malformed", BadSignature = "bad_signature", Replay = "replay", KeyRevoked = "key_revoked",
            ConsentWithdrawn = "consent_withdrawn", NoEdge = "no_edge", TooManyWaiting = "too_many_waiting", AskedTooOften = "asked_too_often", DeniedLately = "denied_lately", TooLarge = "too_large",
            HeldByAnother = "held_by_another";
    }

    /// <summary>RFC 7523 and its 2026 revision: JWT client authentication.</summary>
    public static class ClientAssertion
    {
        public const string Parameter = "client_assertion", TypeParameter = "client_assertion_type",
            JwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        /// <summary>Ours: a client of an agent whose instances authenticate by <c>private_key_jwt</c> with their own attested keys.</summary>
        public const string InstanceKey = "instance_key";

        public const string PrivateKeyJwt = "private_key_jwt", SecretBasic = "client_secret_basic", SecretPost = "client_secret_post", None = "none";
    }

    /// <summary>RFC 7521 and 7523: assertions as grants; also what <c>/agents/instances</c> calls evidence.</summary>
    public static class Assertions
    {
        public const string Parameter = "assertion", JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    }

    /// <summary>draft-ietf-oauth-identity-assertion-authz-grant: what an enterprise's identity provider says of a person, as a grant.</summary>
    public static class IdJag
    {
        public const string Type = "oauth-id-jag+jwt", Profiles = "authorization_grant_profiles_supported", Profile = "urn:ietf:params:oauth:grant-profile:id-jag";
    }

    /// <summary>draft-ietf-oauth-attestation-based-client-auth: somebody who attests a program and its key.</summary>
    public static class ClientAttestation
    {
        public const string Header = "OAuth-Client-Attestation", ProofHeader = "OAuth-Client-Attestation-PoP", Type = "oauth-client-attestation+jwt",
            Invalid = "invalid_client_attestation", UseFresh = "use_fresh_attestation";
    }

    /// <summary>RFC 8693: token exchange.</summary>
    public static class Exchange
    {
        public const string GrantType = "urn:ietf:params:oauth:grant-type:token-exchange",
            SubjectToken = "subject_token", SubjectTokenType = "subject_token_type", ActorToken = "actor_token",
            ActorTokenType = "actor_token_type", RequestedTokenType = "requested_token_type", IssuedTokenType = "issued_token_type",
            Audience = "audience", AccessTokenType = "urn:ietf:params:oauth:token-type:access_token";

        /// <summary>Ours: the tool on whose behalf a tool server asks for a token downstream.</summary>
        public const string Tool = "mcpauth_tool";
    }

    /// <summary>
    /// What clients say of themselves: RFC 7591, RFC 7592, RFC 9126 §6, RFC 9449 §5.2, OpenID Connect registration and RP-initiated logout, and
    /// draft-ietf-oauth-client-id-metadata-document.
    /// </summary>
    public static class Registration
    {
        public const string RedirectUris = "redirect_uris", AuthMethod = "token_endpoint_auth_method", AuthMethods = "token_endpoint_auth_methods_supported",
            AuthAlgorithm = "token_endpoint_auth_signing_alg", GrantTypes = "grant_types", ResponseTypes = "response_types", ClientName = "client_name", Jwks = "jwks",
            JwksUri = "jwks_uri", SoftwareStatement = "software_statement", RequirePushed = "require_pushed_authorization_requests",
            DpopBound = "dpop_bound_access_tokens", PostLogoutRedirectUris = "post_logout_redirect_uris", IdTokenAlgorithm = "id_token_signed_response_alg",
            IssuedAt = "client_id_issued_at", SecretExpiresAt = "client_secret_expires_at", AccessToken = "registration_access_token",
            ClientUri = "registration_client_uri";
        public const string InvalidRedirectUri = "invalid_redirect_uri", InvalidMetadata = "invalid_client_metadata",
            InvalidStatement = "invalid_software_statement", UnapprovedStatement = "unapproved_software_statement";
    }

    /// <summary>RFC 8628: a device without a browser.</summary>
    public static class Device
    {
        public const string GrantType = "urn:ietf:params:oauth:grant-type:device_code", Code = "device_code", UserCode = "user_code";
        public const string AuthorizationPending = "authorization_pending", ExpiredToken = "expired_token";
    }

    /// <summary>OpenID Connect Client-Initiated Backchannel Authentication (CIBA) Core: a person is asked where they are. Its polls answer in the words of <see cref="Device"/>.</summary>
    public static class Ciba
    {
        public const string GrantType = "urn:openid:params:grant-type:ciba", RequestId = "auth_req_id", Poll = "poll";
        public const string LoginHint = "login_hint", LoginHintToken = "login_hint_token", BindingMessage = "binding_message", RequestedExpiry = "requested_expiry",
            UserCode = "user_code";
        public const string UnknownUserId = "unknown_user_id", InvalidBindingMessage = "invalid_binding_message";
    }

    /// <summary>RFC 8707 and RFC 9396.</summary>
    public static class Resources
    {
        public const string Resource = "resource", AuthorizationDetails = "authorization_details", McpToolCall = "mcp_tool_call";
    }

    /// <summary>RFC 9449.</summary>
    public static class Dpop
    {
        public const string Header = "DPoP", Nonce = "DPoP-Nonce", Scheme = "DPoP", UseNonce = "use_dpop_nonce", Thumbprint = "dpop_jkt";
    }

    /// <summary>RFC 8705; the header is of RFC 9440.</summary>
    public static class Mtls
    {
        public const string TlsClientAuth = "tls_client_auth", SelfSignedTlsClientAuth = "self_signed_tls_client_auth",
            SubjectDn = "tls_client_auth_subject_dn", SanDns = "tls_client_auth_san_dns", SanUri = "tls_client_auth_san_uri",
            SanIp = "tls_client_auth_san_ip", SanEmail = "tls_client_auth_san_email",
            BoundAccessTokens = "tls_client_certificate_bound_access_tokens", EndpointAliases = "mtls_endpoint_aliases",
            Thumbprint = "x5t#S256", ClientCertHeader = "Client-Cert";
    }

    /// <summary>The <c>typ</c> of every JWT, one per use (RFC 8725 §3.11).</summary>
    public static class Types
    {
        public const string AccessToken = "at+jwt", Dpop = "dpop+jwt", ClientAuthentication = "client-authentication+jwt", ClientAuth = "oauth-client-auth+jwt", Jwt = "JWT",
            SecurityEvent = "secevent+jwt", TokenIntrospection = "token-introspection+jwt", Policy = "mcpauth-policy+jwt";
    }

    /// <summary>Claims: RFC 7519, 7800, 8693, 9068, 9396, 9449, OpenID Connect Core and this project's own.</summary>
    public static class Claims
    {
        public const string Iss = "iss", Aud = "aud", Sub = "sub", SubProfile = "sub_profile", ClientId = "client_id", Iat = "iat",
            Exp = "exp", Nbf = "nbf", Jti = "jti", Scope = "scope", Groups = "groups", Act = "act", MayAct = "may_act", Cnf = "cnf",
            Jkt = "jkt", AuthTime = "auth_time", Acr = "acr", AuthorizationDetails = "authorization_details", Task = "task",
            Grant = "grant", Lineage = "lineage", AgentContext = "agent_ctx", StepUp = "step_up", Htm = "htm", Htu = "htu", Ath = "ath",
            Nonce = "nonce", Sid = "sid", AtHash = "at_hash", Name = "name", Email = "email", EmailVerified = "email_verified", Txn = "txn", SubId = "sub_id", Events = "events";
        public const string ProfileUser = "user", ProfileAgent = "ai_agent", ProfileClient = "client";
    }

    /// <summary>Scopes (design: authority by scope; OpenID Connect Core §5.4). <c>tool:NAME</c> is that tool with any arguments.</summary>
    public static class Scopes
    {
        public const string ToolsRead = "tools:read", ResourcesRead = "resources:read", PromptsRead = "prompts:read", ToolPrefix = "tool:",
            OfflineAccess = "offline_access", Admin = "admin", OpenId = "openid", Profile = "profile", Email = "email";
    }

    /// <summary>Paths of the server, appended to the issuer.</summary>
    public static class Paths
    {
        public const string OAuthMetadata = "/.well-known/oauth-authorization-server", OpenIdMetadata = "/.well-known/openid-configuration",
            ProtectedResource = "/.well-known/oauth-protected-resource",
            Authorize = "/authorize", AuthorizeResume = "/authorize/resume", PushedRequests = "/par", DeviceAuthorization = "/device_authorization",
            Device = "/device", DeviceDone = "/device/done", BackchannelAuthentication = "/bc-authorize", Register = "/register", UserInfo = "/userinfo", Logout = "/logout", LogoutConfirm = "/logout/confirm", Consent = "/consent",
            Account = "/account", AccountAnswered = "/account?done=answered", SignIn = "/account/sign-in",
            SignOut = "/account/sign-out", Setup = "/account/setup", Password = "/account/password",
            Token = "/token", Introspect = "/introspect", Revoke = "/revoke", Jwks = "/jwks", Tasks = "/tasks", Instances = "/agents/instances",
            GuardAudience = "/guard", GuardEnroll = "/guard/enroll", GuardStreams = "/guard/streams", GuardManifest = "/guard/manifest",
            GuardRevocations = "/guard/revocations", GuardAudit = "/guard/audit", GuardBudgets = "/guard/budgets", GuardBudgetReturns = "/guard/budgets/returns", GuardPolicy = "/guard/policy",
            GuardApprovals = "/guard/approvals", Approvals = "/approvals",
            AdminAudience = "/admin/api", Admin = "/admin/api",
            AccessEvaluation = "/access/v1/evaluation", AccessEvaluations = "/access/v1/evaluations", SearchSubject = "/access/v1/search/subject",
            SearchResource = "/access/v1/search/resource", SearchAction = "/access/v1/search/action", AuthZenMetadata = "/.well-known/authzen-configuration",
            HealthLive = "/health/live", HealthReady = "/health/ready";
    }

    /// <summary>AuthZEN Authorization API 1.0.</summary>
    public static class AuthZen
    {
        public const string RequestId = "X-Request-ID", ToolServer = "tool_server", User = "user", Agent = "agent", Client = "client";
        public const string ExecuteAll = "execute_all", DenyOnFirstDeny = "deny_on_first_deny", PermitOnFirstPermit = "permit_on_first_permit";
    }

    /// <summary>MCP over HTTP.</summary>
    public static class Mcp
    {
        public const string ProtocolVersionHeader = "MCP-Protocol-Version", MethodHeader = "Mcp-Method", NameHeader = "Mcp-Name",
            ParamHeaderPrefix = "Mcp-Param-", SessionHeader = "Mcp-Session-Id";
        public const string V20260728 = "2026-07-28", V20251125 = "2025-11-25", V20250618 = "2025-06-18";
        public const string DenialMeta = "mcpauth/denial", ApprovalInput = "mcpauth/approval";
        public const int HeaderMismatch = -32020, MissingCapability = -32021, UnsupportedVersion = -32022;
    }

    /// <summary>Codes of a denial that no scope can cure (<c>_meta["mcpauth/denial"].code</c>).</summary>
    public static class Denials
    {
        public const string NotInTask = "not_in_task", ArgumentDenied = "argument_denied", PolicyDenied = "policy_denied",
            ActorUnauthorized = "actor_unauthorized", BudgetSpent = "budget_spent", RateLimited = "rate_limited", ToolDrifted = "tool_drifted",
            ApprovalRequired = "approval_required", GuardUnavailable = "guard_unavailable";
    }
}
