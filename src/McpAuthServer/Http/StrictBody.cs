using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Json;

namespace McpAuthServer.Http;

/// <summary>Asks again whether the caller may, when the body is complete: it may have been sent slowly, and the caller suspended meanwhile.</summary>
internal sealed record CallerLives(Func<Task<OAuthError?>> Refusal);

/// <summary>Reads a request body once, bounded, by the strict readers.</summary>
internal static class StrictBody
{
    private static readonly HashSet<string> Repeatable = [Names.Resources.Resource, Names.Exchange.Audience];

    /// <summary>
    /// An OAuth form. Another method is refused here and not by the router, so that it is recorded; parameters in the query are refused, so
    /// that nobody gets used to secrets that end in a log (RFC 6749 §2.3.1, §3.2).
    /// </summary>
    public static Task<(StrictForm? Form, OAuthError? Error)> FormAsync(HttpRequest request) => FormAsync(request, Repeatable, maxFields: 64);

    /// <summary>A form whose <paramref name="repeatable"/> fields may stand more than once.</summary>
    public static async Task<(StrictForm? Form, OAuthError? Error)> FormAsync(HttpRequest request, IReadOnlySet<string> repeatable, int maxFields)
    {
        // RFC 6749 §3.2: the client MUST use POST.
        if (!HttpMethods.IsPost(request.Method))
            return (null, OAuthError.NotPost);
        if (request.QueryString.HasValue)
            return (null, OAuthError.InvalidRequest("Parameters belong in the body, not in the query."));
        if (!IsType(request, "application/x-www-form-urlencoded"))
            return (null, new(Names.Errors.InvalidRequest, "The body must be application/x-www-form-urlencoded.", StatusCodes.Status415UnsupportedMediaType));
        var (bytes, error) = await BytesAsync(request, Limits.TokenBody);
        if (error is not null)
            return (null, error);
        return StrictForm.Parse(bytes.Span, repeatable, maxFields).TryGet(out var form, out var fault)
            ? (form, null)
            : (null, OAuthError.InvalidRequest(fault.Message, fault.Code));
    }

    /// <summary>A form as it was sent, where it can stand in an address as it is; else null.</summary>
    public static async Task<string?> EncodedAsync(HttpRequest request, int maxBytes)
    {
        if (request.QueryString.HasValue || !IsType(request, "application/x-www-form-urlencoded"))
            return null;
        var (bytes, error) = await BytesAsync(request, maxBytes);
        return error is null && bytes.Length > 0 && bytes.Span.IndexOfAnyExceptInRange((byte)'!', (byte)'~') < 0 && !bytes.Span.Contains((byte)'#') ? Encoding.ASCII.GetString(bytes.Span) : null;
    }

    /// <summary>A JSON body as it was sent, for a strict reader of its own.</summary>
    public static async Task<(ReadOnlyMemory<byte> Bytes, OAuthError? Error)> JsonBytesAsync(HttpRequest request, int maxBytes) => IsType(request, "application/json")
        ? await BytesAsync(request, maxBytes)
        : (default, NotJson);

    public static async Task<(JsonElement Json, OAuthError? Error)> JsonAsync(HttpRequest request, int maxBytes)
    {
        var (bytes, error) = await JsonBytesAsync(request, maxBytes);
        if (error is not null)
            return (default, error);
        return StrictJson.Parse(bytes, new JsonLimits(maxBytes)).TryGet(out var json, out var fault)
            ? (json, null)
            : (default, OAuthError.InvalidRequest(fault.ToString(), fault.Code));
    }

    /// <summary>A JSON body as <typeparamref name="T"/>; members of another type, and unknown ones where the type says so, are refused.</summary>
    public static async Task<(T? Body, OAuthError? Error)> JsonAsync<T>(HttpRequest request, JsonTypeInfo<T> type, int maxBytes) where T : class
    {
        var (json, error) = await JsonAsync(request, maxBytes);
        if (error is not null)
            return (null, error);
        try
        {
            return json.Deserialize(type) is { } body ? (body, null) : (null, OAuthError.InvalidRequest("The body must be a JSON object."));
        }
        catch (JsonException e)
        {
            // The text names the member and its .NET type only, never a value; the path is enough.
            return (null, OAuthError.InvalidRequest($"The body does not have the expected form at {e.Path}."));
        }
    }

    private static OAuthError NotJson => new(Names.Errors.InvalidRequest, "The body must be application/json.", StatusCodes.Status415UnsupportedMediaType);

    private static bool IsType(HttpRequest request, string type) =>
        request.ContentType is { } value && value.AsSpan(0, value.IndexOf(';') is var i and >= 0 ? i : value.Length).Trim().Equals(type, StringComparison.OrdinalIgnoreCase);

    /// <summary>A body that says it is JSON, as it came, for large ones that come often; it is lent until it is disposed, and still to be read strictly.</summary>
    public static async Task<(LentBytes? Body, OAuthError? Error)> LentAsync(HttpRequest request, int maxBytes)
    {
        if (!IsType(request, "application/json"))
            return (null, NotJson);
        LentBytes? lent = null;
        return await BytesAsync(request, maxBytes, read => lent = new LentBytes(read)) is { } error ? (null, error) : (lent, null);
    }

    private static async Task<(ReadOnlyMemory<byte> Bytes, OAuthError? Error)> BytesAsync(HttpRequest request, int max)
    {
        ReadOnlyMemory<byte> bytes = default;
        var error = await BytesAsync(request, max, read => bytes = read.ToArray());
        return (bytes, error);
    }

    /// <param name="take">Given all of it, once.</param>
    private static async Task<OAuthError?> BytesAsync(HttpRequest request, int max, Action<ReadOnlySequence<byte>> take)
    {
        var tooLarge = new OAuthError(Names.Errors.InvalidRequest, $"The body is longer than {max} bytes.", StatusCodes.Status413PayloadTooLarge);
        if (request.ContentLength > max)
            return tooLarge;
        var reader = request.BodyReader;
        while (true)
        {
            ReadResult read;
            try
            {
                read = await reader.ReadAsync(request.HttpContext.RequestAborted);
            }
            catch (BadHttpRequestException e)
            {
                return OAuthError.InvalidRequest("The body could not be read.") with { Status = e.StatusCode };
            }
            if (read.Buffer.Length > max)
                return tooLarge;
            if (read.IsCompleted)
            {
                var refusal = request.HttpContext.Features.Get<CallerLives>() is { } caller ? await caller.Refusal() : null;
                if (refusal is null)
                    take(read.Buffer);
                reader.AdvanceTo(read.Buffer.End);
                return refusal;
            }
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
