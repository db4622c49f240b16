using System.Text.Json;
using McpAuth.Protocol;

namespace McpAuth.Client;

/// <summary>Where the server's endpoints are (RFC 8414).</summary>
public sealed class AuthorizationServerMetadata
{
    private AuthorizationServerMetadata(string issuer, Uri? authorization, Uri? backchannel, Uri token, Uri introspection, Uri jwks, bool keepsChallenges) =>
        (Issuer, AuthorizationEndpoint, BackchannelAuthenticationEndpoint, TokenEndpoint, IntrospectionEndpoint, JwksUri, KeepsChallenges) =
        (issuer, authorization, backchannel, token, introspection, jwks, keepsChallenges);

    public string Issuer { get; }

    /// <summary>Where a person's browser is sent; it may have a query of its own (RFC 6749 §3.1). Null when the server asks nobody.</summary>
    public Uri? AuthorizationEndpoint { get; }

    /// <summary>Where an agent asks a person who is elsewhere (CIBA §4). Null when the server does not offer it.</summary>
    public Uri? BackchannelAuthenticationEndpoint { get; }
    public Uri TokenEndpoint { get; }
    public Uri IntrospectionEndpoint { get; }
    public Uri JwksUri { get; }

    /// <summary>Whether it says that it keeps S256 challenges. One that does not know the parameter ignores it (RFC 7636 §5), and anybody could send the code.</summary>
    internal bool KeepsChallenges { get; }

    /// <summary>Where the document of an issuer is: the well-known path is put between host and path (RFC 8414 §3.1).</summary>
    public static Uri Location(string issuer)
    {
        Uri uri = ServerAddress.Issuer(issuer);
        return new Uri(uri, Names.Paths.OAuthMetadata + uri.AbsolutePath.TrimEnd('/'));
    }

    /// <summary>Fetches and checks the document.</summary>
    /// <exception cref="HttpRequestException">Unreachable, or the document is not this issuer's.</exception>
    public static async Task<AuthorizationServerMetadata> DiscoverAsync(
        string issuer, ConnectionOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var connection = new ServerConnection(issuer, options ?? new ConnectionOptions());
        return await connection.Metadata(cancellationToken);
    }

    /// <summary>Reads a document for the issuer that was configured. Codes: <c>issuer_mismatch</c>, <c>invalid_metadata</c>.</summary>
    internal static Result<AuthorizationServerMetadata> Read(JsonElement document, string issuer)
    {
        if (document.ValueKind != JsonValueKind.Object) return new Fault("invalid_metadata", "The metadata is not a JSON object.");

        // RFC 8414 §3.3: identical to the issuer the address was made from, else nothing in it may be used.
        if (Text(document, "issuer") != issuer) return new Fault("issuer_mismatch", "The metadata names another issuer.", "issuer");

        Uri configured = ServerAddress.Issuer(issuer);
        Uri? authorization = Endpoint(document, "authorization_endpoint", configured);
        if (authorization is null && document.TryGetProperty("authorization_endpoint", out _)) return Missing("authorization_endpoint");
        Uri? backchannel = Endpoint(document, "backchannel_authentication_endpoint", configured);
        if (backchannel is null && document.TryGetProperty("backchannel_authentication_endpoint", out _)) return Missing("backchannel_authentication_endpoint");
        if (Endpoint(document, "token_endpoint", configured) is not { } token) return Missing("token_endpoint");
        if (Endpoint(document, "introspection_endpoint", configured) is not { } introspection) return Missing("introspection_endpoint");
        if (Endpoint(document, "jwks_uri", configured) is not { } jwks) return Missing("jwks_uri");
        return new AuthorizationServerMetadata(issuer, authorization, backchannel, token, introspection, jwks, KeepsS256(document));
    }

    private static bool KeepsS256(JsonElement document) =>
        document.TryGetProperty("code_challenge_methods_supported", out JsonElement methods) && methods.ValueKind == JsonValueKind.Array
        && methods.EnumerateArray().Any(method => method.ValueKind == JsonValueKind.String && method.GetString() == Names.Pkce.S256);

    private static Fault Missing(string member) =>
        new("invalid_metadata", "An endpoint is absent or not an address that credentials may be sent to.", member);

    // A remote issuer cannot point this process at a service on its own machine.
    private static Uri? Endpoint(JsonElement document, string member, Uri issuer) =>
        Uri.TryCreate(Text(document, member), UriKind.Absolute, out Uri? uri) && uri.Fragment.Length == 0
        && ServerAddress.MayCarryCredentials(uri) && (!ServerAddress.IsLoopback(uri) || ServerAddress.IsLoopback(issuer)) ? uri : null;

    private static string? Text(JsonElement document, string member) =>
        document.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
