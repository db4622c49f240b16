using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Registry;
using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Clients;

/// <summary>
/// What a client said of itself and this server holds to (RFC 7591 §2). What it said beyond that (pictures, links, contacts) is not kept: nothing
/// of it would be true by being shown.
/// </summary>
/// <param name="Name">For people; null when it gave none.</param>
/// <param name="AuthMethod">How it authenticates.</param>
/// <param name="AlsoPublic">Whether it may as well come without: it says that it can do both, and PKCE is all that is certain then.</param>
/// <param name="Keys">Its usable keys; excludes <paramref name="JwksUri"/>.</param>
internal sealed record ClientMetadata(
    string? Name, IReadOnlyList<string> RedirectUris, IReadOnlyList<string> PostLogoutRedirectUris, string AuthMethod, bool AlsoPublic, IReadOnlyList<VerificationKey> Keys,
    string? JwksUri, IReadOnlyList<string> GrantTypes, bool RequiresPushed, bool RequiresDpop)
{
    /// <summary>Those a client that registers itself may have: with each of them a person decides.</summary>
    public static readonly string[] Grantable = [Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken, Names.Device.GrantType];

    /// <summary>Whether it has a secret of this server's making.</summary>
    public bool HasSecret => AuthMethod is Names.ClientAssertion.SecretBasic or Names.ClientAssertion.SecretPost;

    /// <summary>As it is kept, and compared: one text for one meaning.</summary>
    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            WriteMembers(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>RFC 7591 §3.2.1: all that is registered, and nothing that is not.</summary>
    public void WriteMembers(Utf8JsonWriter json)
    {
        if (Name is not null)
            json.WriteString(Names.Registration.ClientName, Name);
        Strings(json, Names.Registration.RedirectUris, RedirectUris);
        json.WriteString(Names.Registration.AuthMethod, AuthMethod);
        if (AlsoPublic)
            Strings(json, Names.Registration.AuthMethods, [AuthMethod, Names.ClientAssertion.None]);
        Strings(json, Names.Registration.GrantTypes, GrantTypes);
        Strings(json, Names.Registration.ResponseTypes, GrantTypes.Contains(Names.OAuth.AuthorizationCode) ? [Names.OAuth.Code] : []);
        if (JwksUri is not null)
            json.WriteString(Names.Registration.JwksUri, JwksUri);
        if (Keys.Count > 0)
        {
            json.WritePropertyName(Names.Registration.Jwks);
            json.WriteRawValue(KeySetOf(Keys));
        }
        if (RequiresPushed)
            json.WriteBoolean(Names.Registration.RequirePushed, true);
        if (RequiresDpop)
            json.WriteBoolean(Names.Registration.DpopBound, true);
        if (PostLogoutRedirectUris.Count > 0)
            Strings(json, Names.Registration.PostLogoutRedirectUris, PostLogoutRedirectUris);
    }

    /// <summary>Keys as a JWK set.</summary>
    public static string KeySetOf(IReadOnlyList<VerificationKey> keys) => $"{{\"keys\":[{string.Join(',', keys.Select(k => k.Jwk.GetRawText()))}]}}";

    /// <param name="origin"><see cref="ClientOrigin.Dynamic"/> or <see cref="ClientOrigin.Document"/>.</param>
    public ClientRecord ToClient(string id, string origin, string? secretHash, bool active) => new(
        id, Name ?? Unnamed(id, origin), null, AuthMethod, HasSecret ? secretHash : null, Keys, GrantTypes.ToHashSet(StringComparer.Ordinal),
        // Nobody here told it which audience to name, and RFC 7523 §3 names the token endpoint.
        LegacyAudience: true, GrantedAuthority.None, active, RedirectUris, new HashSet<string>())
    {
        Origin = origin, AlsoPublic = AlsoPublic, KeySet = JwksUri, RequiresPushed = RequiresPushed, RequiresDpop = RequiresDpop, PostLogoutRedirectUris = PostLogoutRedirectUris,
        Metadata = ToJson(),
    };

    /// <summary>Where it comes from, or where its answers go, is all there is to tell.</summary>
    private string Unnamed(string id, string origin) =>
        origin == ClientOrigin.Document ? new Uri(id).Host : RedirectUris is [var first, ..] ? RedirectUri.Shown(first) : id;

    private static void Strings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
