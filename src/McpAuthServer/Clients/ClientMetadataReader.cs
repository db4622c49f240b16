using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Registry;

namespace McpAuthServer.Clients;

/// <summary>
/// Reads the metadata that a client brought itself, in a registration or in a document (RFC 7591 §2). Members that this server does not know are
/// passed over, as the standard has it; one that it knows is right, or the whole is refused with that member's name. Pure.
/// </summary>
internal sealed class ClientMetadataReader
{
    public const int MostUris = 32, MostKeys = 16, NameLength = 200;

    private const int MostWords = 64;

    private readonly JsonElement json;
    private readonly FetchPolicy? policy;
    private Fault? fault;

    private ClientMetadataReader(JsonElement json, FetchPolicy? policy) => (this.json, this.policy) = (json, policy);

    /// <param name="origin"><see cref="ClientOrigin.Dynamic"/> or <see cref="ClientOrigin.Document"/>: with whom no secret can be shared.</param>
    /// <param name="policy">Which addresses of keys may be named; null for what was stored: it is asked again when they are fetched.</param>
    /// <returns>Or a fault whose code is an error of RFC 7591 §3.2.2, and whose path is the member.</returns>
    public static Result<ClientMetadata> Read(JsonElement json, string origin, FetchPolicy? policy)
    {
        if (json.ValueKind != JsonValueKind.Object)
            return new Fault(Names.Registration.InvalidMetadata, "The metadata must be a JSON object.");
        var reader = new ClientMetadataReader(json, policy);
        var metadata = reader.Read(isDocument: origin == ClientOrigin.Document);
        return reader.fault is { } fault ? fault : metadata;
    }

    private ClientMetadata Read(bool isDocument)
    {
        Statement();
        var name = Text(Names.Registration.ClientName);
        if (name?.Length > NameLength)
            Refuse(Names.Registration.ClientName, $"It must have at most {NameLength} characters.");
        var grants = Grants();
        var (method, alsoPublic) = isDocument ? DocumentMethod() : (Method(), false);
        var isPublic = isDocument || method == Names.ClientAssertion.None;
        var redirects = Uris(Names.Registration.RedirectUris, isPublic, Names.Registration.InvalidRedirectUri);
        if (grants.Contains(Names.OAuth.AuthorizationCode) && redirects.Count == 0)
            Refuse(Names.Registration.RedirectUris, "authorization_code needs an address to send the answer to.", Names.Registration.InvalidRedirectUri);
        var (keys, keySet) = Keys(method);
        // A signature that the client could not check by what it asked for is none; no algorithm of a secret is in use.
        OneOf(Names.Registration.IdTokenAlgorithm, "ES256", "RS256");
        if (method == Names.ClientAssertion.PrivateKeyJwt)
            OneOf(Names.Registration.AuthAlgorithm, "ES256", "RS256");
        // RFC 8705 §3.4. If it were passed over, tokens would be bound to less than the client asked for.
        if (Flag(Names.Mtls.BoundAccessTokens))
            Refuse(Names.Mtls.BoundAccessTokens, "Only a client that an administrator registered gets tokens that are bound to a certificate.");
        // MCP 2026-07-28, Client Registration. One that was kept before this was asked for goes on.
        if (isDocument && policy is not null && string.IsNullOrWhiteSpace(name))
            Refuse(Names.Registration.ClientName, "A document says what the program is called.");
        return new ClientMetadata(
            string.IsNullOrWhiteSpace(name) ? null : name, redirects, Uris(Names.Registration.PostLogoutRedirectUris, isPublic, Names.Registration.InvalidMetadata),
            method, alsoPublic, keys, keySet, grants, Flag(Names.Registration.RequirePushed), Flag(Names.Registration.DpopBound));
    }

    // RFC 7591 §2.3, §3.1.1: its claims would go before the others', so it is not passed over. Nobody's signature is approved here.
    private void Statement()
    {
        if (!Has(Names.Registration.SoftwareStatement, out var statement))
            return;
        var parts = statement.ValueKind == JsonValueKind.String ? statement.GetString()!.Split('.') : [];
        fault ??= parts is [{ Length: > 0 }, { Length: > 0 }, { Length: > 0 }]
            ? new(Names.Registration.UnapprovedStatement, "This server approves no issuer of software statements.", Names.Registration.SoftwareStatement)
            : new(Names.Registration.InvalidStatement, "It is no signed statement.", Names.Registration.SoftwareStatement);
    }

    // RFC 7591 §3.2.1: the server may register less than what was asked for, and says so in the answer.
    private List<string> Grants()
    {
        var asked = Words(Names.Registration.GrantTypes) ?? [Names.OAuth.AuthorizationCode];
        var grants = ClientMetadata.Grantable.Where(asked.Contains).ToList();
        if (grants.TrueForAll(grant => grant == Names.OAuth.RefreshToken))
            Refuse(Names.Registration.GrantTypes, $"One of {Names.OAuth.AuthorizationCode} and {Names.Device.GrantType} is needed: a person decides.");
        // RFC 7591 §2.1: the two belong together.
        if (Words(Names.Registration.ResponseTypes) is { } types && grants.Contains(Names.OAuth.AuthorizationCode) && !types.Contains(Names.OAuth.Code))
            Refuse(Names.Registration.ResponseTypes, "authorization_code needs the response type code.");
        return grants;
    }

    private string Method() => OneOf(
        Names.Registration.AuthMethod, Names.ClientAssertion.SecretBasic, Names.ClientAssertion.SecretPost, Names.ClientAssertion.None, Names.ClientAssertion.PrivateKeyJwt)
        // RFC 7591 §2.
        ?? Names.ClientAssertion.SecretBasic;

    /// <summary>
    /// draft-ietf-oauth-client-id-metadata-document §4.1: no secret can have been shared. A document speaks to many servers, so it may say all that the
    /// client can do; what it prefers is then one of these.
    /// </summary>
    private (string Method, bool AlsoPublic) DocumentMethod()
    {
        foreach (var member in new[] { Names.OAuth.ClientSecret, Names.Registration.SecretExpiresAt })
            if (Has(member, out _))
                Refuse(member, "A document cannot hold a secret.");
        var preferred = Text(Names.Registration.AuthMethod);
        var methods = Words(Names.Registration.AuthMethods) ?? [];
        if (preferred is not null)
            methods.Add(preferred);
        if (methods.Exists(method => method.StartsWith("client_secret", StringComparison.Ordinal)))
            Refuse(Names.Registration.AuthMethod, "A method with a secret cannot be used: none was shared.");
        var (none, key) = (methods.Count == 0 || methods.Contains(Names.ClientAssertion.None), methods.Contains(Names.ClientAssertion.PrivateKeyJwt));
        if (!none && !key)
            Refuse(Names.Registration.AuthMethod, $"One of {Names.ClientAssertion.None} and {Names.ClientAssertion.PrivateKeyJwt} is needed.");
        // What it cannot do for want of a key, it does not do.
        if (none && !(Has(Names.Registration.Jwks, out _) || Has(Names.Registration.JwksUri, out _)))
            key = false;
        return key ? (Names.ClientAssertion.PrivateKeyJwt, none) : (Names.ClientAssertion.None, false);
    }

    /// <summary>Refused wherever they stand when they are wrong; kept where they are used.</summary>
    private (IReadOnlyList<VerificationKey> Keys, string? KeySet) Keys(string method)
    {
        var address = Text(Names.Registration.JwksUri);
        IReadOnlyList<VerificationKey> keys = [];
        if (Has(Names.Registration.Jwks, out var jwks))
        {
            // RFC 7591 §2: MUST NOT both be present.
            if (address is not null)
                Refuse(Names.Registration.Jwks, "It must not stand beside jwks_uri.");
            if (jwks.ValueKind == JsonValueKind.Object && jwks.TryGetProperty("keys", out var all) && all.ValueKind == JsonValueKind.Array && all.GetArrayLength() > MostKeys)
                Refuse(Names.Registration.Jwks, $"There must be at most {MostKeys} keys.");
            else if (!VerificationKey.FromJwks(jwks).TryGet(out var read, out var wrong))
                Refuse(Names.Registration.Jwks, wrong.Message);
            else
                keys = [.. read.Where(KeySets.IsUsable)];
        }
        if (address is not null && policy?.Read(address).Fault is { } why)
            Refuse(Names.Registration.JwksUri, why.Message);
        if (method != Names.ClientAssertion.PrivateKeyJwt)
            return ([], null);
        if (address is null && keys.Count == 0)
            Refuse(Names.Registration.Jwks, $"{Names.ClientAssertion.PrivateKeyJwt} needs a key for ES256 or RS256, here or at jwks_uri.");
        return (keys, address);
    }

    private List<string> Uris(string member, bool isPublic, string error)
    {
        var uris = Strings(member, MostUris, error) ?? [];
        // Each by itself: one bad address among three names itself.
        for (var i = 0; i < uris.Count; i++)
            if (RedirectUri.Refuses(uris[i], isPublic) is { } why)
                Refuse($"{member}[{i}]", $"'{(uris[i].Length > 100 ? uris[i][..100] + "..." : uris[i])}' cannot be registered. {why}", error);
        return [.. uris.Distinct(StringComparer.Ordinal)];
    }

    private List<string>? Words(string member) => Strings(member, MostWords, Names.Registration.InvalidMetadata);

    private List<string>? Strings(string member, int most, string error)
    {
        if (!Has(member, out var value))
            return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
            Refuse(member, "It must be an array of strings.", error);
        else if (value.GetArrayLength() > most)
            Refuse(member, $"It must have at most {most} members.", error);
        else
            return [.. value.EnumerateArray().Select(item => item.GetString()!)];
        return null;
    }

    private string? Text(string member)
    {
        if (!Has(member, out var value))
            return null;
        if (value.ValueKind == JsonValueKind.String)
            return value.GetString();
        Refuse(member, "It must be a string.");
        return null;
    }

    private string? OneOf(string member, params ReadOnlySpan<string> values)
    {
        if (Text(member) is not { } text)
            return null;
        if (!values.Contains(text))
            Refuse(member, $"It must be one of {string.Join(", ", values!)}.");
        return text;
    }

    private bool Flag(string member)
    {
        if (!Has(member, out var value))
            return false;
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            Refuse(member, "It must be true or false.");
        return value.ValueKind == JsonValueKind.True;
    }

    // Null is what clients write for what they leave out (RFC 7592 §2.2 says so of one case).
    private bool Has(string member, out JsonElement value) => json.TryGetProperty(member, out value) && value.ValueKind != JsonValueKind.Null;

    private void Refuse(string member, string why, string error = Names.Registration.InvalidMetadata) => fault ??= new Fault(error, why, member);
}
