using System.Buffers;
using System.Globalization;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.People;
using McpAuthServer.Registry;

namespace McpAuthServer.Discovery;

/// <summary>
/// Authorization server metadata (RFC 8414, OIDC Discovery) at every place clients look, and the key set. The documents are made of
/// configuration, of the keys when they change, and of whether there is an identity provider: nothing of a request is in them.
/// </summary>
internal static class MetadataEndpoint
{
    private static readonly string Cacheable = string.Create(CultureInfo.InvariantCulture, $"public, max-age={(int)Limits.KeySetAge.TotalSeconds}");

    /// <summary>Those that clients call themselves, and so may call with a certificate.</summary>
    private static readonly (string Member, string Path)[] Called =
    [
        ("token_endpoint", Names.Paths.Token), ("revocation_endpoint", Names.Paths.Revoke), ("introspection_endpoint", Names.Paths.Introspect),
        ("pushed_authorization_request_endpoint", Names.Paths.PushedRequests), ("device_authorization_endpoint", Names.Paths.DeviceAuthorization),
        ("userinfo_endpoint", Names.Paths.UserInfo), ("backchannel_authentication_endpoint", Names.Paths.BackchannelAuthentication),
    ];

    /// <summary>Of ID tokens and <c>/userinfo</c>.</summary>
    private static readonly string[] Claims =
    [
        Names.Claims.Iss, Names.Claims.Sub, Names.Claims.Aud, Names.Claims.Iat, Names.Claims.Exp, Names.Claims.AuthTime, Names.Claims.Acr, Names.Claims.Nonce, Names.Claims.Sid,
        Names.Claims.AtHash, Names.Claims.Name, Names.Claims.Email,
    ];

    public static void MapMetadataEndpoint(this IEndpointRouteBuilder routes, Issuer issuer, ServerOptions options)
    {
        var metadata = new PerKeys(keys => Metadata(issuer, options, keys, speaksForPeople: false));
        var providers = new Providers();
        var federated = new PerKeys(keys => Metadata(issuer, options, keys, speaksForPeople: true));
        var path = issuer.BasePath;
        // RFC 8414 §3.1 inserts the well-known part before the issuer's path; OIDC Discovery §4 appends it; real clients try all.
        foreach (var place in new[]
        {
            Names.Paths.OAuthMetadata + path, Names.Paths.OpenIdMetadata + path, path + Names.Paths.OpenIdMetadata, path + Names.Paths.OAuthMetadata,
        }.Distinct(StringComparer.Ordinal))
            routes.MapGet(place, (HttpContext context, SigningKeyRing keys, RegistryCache registry) =>
                Document(context, (providers.AnyIn(registry) ? federated : metadata).Of(keys.Current), "application/json")).RequireCors(Cors.Public);
        routes.MapGet(path + Names.Paths.Jwks, (HttpContext context, SigningKeyRing keys) => Document(context, keys.Current.KeySet, "application/jwk-set+json")).RequireCors(Cors.Public);
    }

    /// <summary>Says only what is enforced.</summary>
    /// <param name="speaksForPeople">Whether there is an identity provider whose word about people is taken.</param>
    private static byte[] Metadata(Issuer issuer, ServerOptions options, ServerKeys keys, bool speaksForPeople) => Write(json =>
    {
        json.WriteString("issuer", issuer.Value);
        json.WriteString("authorization_endpoint", issuer.Uri(Names.Paths.Authorize).AbsoluteUri);
        json.WriteString("jwks_uri", issuer.Value + Names.Paths.Jwks);
        foreach (var (member, path) in Called)
            json.WriteString(member, issuer.Value + path);
        json.WriteString("end_session_endpoint", issuer.Value + Names.Paths.Logout);
        if (options.DynamicRegistration.Enabled)
            json.WriteString("registration_endpoint", issuer.Value + Names.Paths.Register);
        if (options.ClientDocuments.Enabled)
            json.WriteBoolean("client_id_metadata_document_supported", true);
        Strings(json, "response_types_supported", Names.OAuth.Code);
        Strings(json, "response_modes_supported", Names.Authorization.Query, Names.Authorization.FormPost);
        Strings(json, "acr_values_supported", SignInSession.Ways);
        json.WriteBoolean("require_pushed_authorization_requests", false);
        Strings(json, "grant_types_supported", Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken, Names.OAuth.ClientCredentials, Names.Device.GrantType, Names.Ciba.GrantType,
            Names.Exchange.GrantType, Names.Assertions.JwtBearer);
        if (speaksForPeople)
            Strings(json, Names.IdJag.Profiles, Names.IdJag.Profile);
        // CIBA §4: no pings, no pushes, no codes of people; no algorithms, since there are no signed requests.
        Strings(json, "backchannel_token_delivery_modes_supported", Names.Ciba.Poll);
        json.WriteBoolean("backchannel_user_code_parameter_supported", false);
        Strings(json, "prompt_values_supported", Names.Authorization.PromptNone, Names.Authorization.PromptLogin, Names.Authorization.PromptConsent, Names.Authorization.PromptSelectAccount);
        // OpenID Connect Discovery §3: absent would mean true. What was pushed is referred to by what only this server made.
        json.WriteBoolean("request_uri_parameter_supported", false);
        Strings(json, "code_challenge_methods_supported", "S256");
        json.WriteBoolean("authorization_response_iss_parameter_supported", true);
        var certificateMethods = CertificateMethods(options.Mtls);
        foreach (var endpoint in (ReadOnlySpan<string>)["token", "revocation"])
        {
            Strings(json, endpoint + "_endpoint_auth_methods_supported", [
                Names.ClientAssertion.PrivateKeyJwt, Names.ClientAssertion.SecretBasic, Names.ClientAssertion.SecretPost, Names.ClientAssertion.None, .. certificateMethods]);
            Strings(json, endpoint + "_endpoint_auth_signing_alg_values_supported", "ES256", "RS256");
        }
        // RFC 8414 §2: a token's scheme stands beside the methods of clients; guards come with theirs.
        Strings(json, "introspection_endpoint_auth_methods_supported", [
            Names.ClientAssertion.PrivateKeyJwt, Names.ClientAssertion.SecretBasic, Names.ClientAssertion.SecretPost, .. certificateMethods, Names.Dpop.Scheme]);
        Strings(json, "introspection_endpoint_auth_signing_alg_values_supported", "ES256", "RS256");
        // OpenID Connect Discovery §3, RFC 9701 §7.
        Strings(json, "subject_types_supported", "public");
        foreach (var signed in (ReadOnlySpan<string>)["id_token", "introspection"])
            Strings(json, signed + "_signing_alg_values_supported", keys.Active.Algorithm);
        Strings(json, "claims_supported", Claims);
        json.WriteBoolean("claims_parameter_supported", false);
        Strings(json, "dpop_signing_alg_values_supported", "ES256", "RS256");
        WriteMtls(json, issuer, options.Mtls);
        Strings(json, "authorization_details_types_supported", Names.Resources.McpToolCall);
        Strings(json, "scopes_supported", Names.Scopes.ToolsRead, Names.Scopes.ResourcesRead, Names.Scopes.PromptsRead, Names.Scopes.OfflineAccess,
            Names.Scopes.OpenId, Names.Scopes.Profile, Names.Scopes.Email);
    });

    // RFC 8705 §2.1.1, §2.2.1.
    private static string[] CertificateMethods(MtlsOptions mtls) => mtls switch
    {
        { Enabled: false } => [],
        { TrustedAuthorities: null } => [Names.Mtls.SelfSignedTlsClientAuth],
        _ => [Names.Mtls.TlsClientAuth, Names.Mtls.SelfSignedTlsClientAuth],
    };

    private static void WriteMtls(Utf8JsonWriter json, Issuer issuer, MtlsOptions mtls)
    {
        if (!mtls.Enabled)
            return;
        // RFC 8705 §3.3.
        json.WriteBoolean(Names.Mtls.BoundAccessTokens, true);
        if (mtls.Endpoint is null)
            return;
        // §5.
        json.WriteStartObject(Names.Mtls.EndpointAliases);
        foreach (var (member, path) in Called)
            json.WriteString(member, issuer.Alias(path)!.AbsoluteUri);
        json.WriteEndObject();
    }

    private static IResult Document(HttpContext context, byte[] body, string type)
    {
        context.Response.Headers.CacheControl = Cacheable;
        return Results.Bytes(body, type);
    }

    private static void Strings(Utf8JsonWriter json, string name, params ReadOnlySpan<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }

    private static byte[] Write(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Whether somebody's word about people is taken, as it was last known: the documents are there also while the database is not.</summary>
    private sealed class Providers
    {
        private volatile bool any;

        public bool AnyIn(RegistryCache registry)
        {
            if (registry.Latest is { } snapshot)
                any = snapshot.IdentityProviders.Values.Any(provider => provider.Active);
            return any;
        }
    }

    /// <summary>A document that is made again when the keys change.</summary>
    private sealed class PerKeys(Func<ServerKeys, byte[]> make)
    {
        private Tuple<ServerKeys, byte[]>? made;

        public byte[] Of(ServerKeys keys)
        {
            if (Volatile.Read(ref made) is not { } last || last.Item1 != keys)
                Volatile.Write(ref made, last = Tuple.Create(keys, make(keys)));
            return last.Item2;
        }
    }
}
