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

    /// <summary>One header more; its value must not end in a message of ours.</summary>
    public KeyValuePair<string, string>? Header { get; init; }

    /// <summary>A connection of its own, instead of the server's: it shows a certificate.</summary>
    public HttpMessageInvoker? Connection { get; init; }

    /// <summary>Fewer attempts than the connection's, for callers that have a loop of their own.</summary>
    public int? Attempts { get; init; }

    /// <summary>Success may come without a body (204).</summary>
    public bool NoAnswer { get; init; }

    /// <summary>No cache between here and the server may answer.</summary>
    public bool Uncached { get; init; }

    /// <summary>What was seen before: then the answer may be that it is still so (304), and there is no body.</summary>
    public string? IfNoneMatch { get; init; }

    /// <summary>Told the headers of the answer that counts.</summary>
    public Action<System.Net.Http.Headers.HttpResponseHeaders>? Headers { get; init; }

    public static byte[] Body<T>(T body, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(body, type);
}
