using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client;

/// <summary>A request before it is sent: every attempt makes its own assertion and proof from it, because each may be used only once.</summary>
internal sealed class ServerRequest(HttpMethod method, Uri uri)
{
    public HttpMethod Method { get; } = method;
    public Uri Uri { get; } = uri;

    /// <summary>Form fields; a form is sent too when only <see cref="Client"/> is set.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Form { get; init; }
    public byte[]? Json { get; init; }
    public ClientAuthentication? Client { get; init; }

    /// <summary>Makes the DPoP proof; null = none is sent.</summary>
    public SigningKey? Key { get; init; }
    public string? AccessToken { get; init; }

    /// <summary>Fewer attempts than the connection's, for callers that have a loop of their own.</summary>
    public int? Attempts { get; init; }

    /// <summary>Success may come without a body (204).</summary>
    public bool NoAnswer { get; init; }

    /// <summary>No cache between here and the server may answer.</summary>
    public bool Uncached { get; init; }

    public static byte[] Body<T>(T body, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(body, type);
}
