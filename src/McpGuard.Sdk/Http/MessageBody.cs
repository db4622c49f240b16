using System.Buffers;
using System.IO.Pipelines;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace McpGuard.Sdk.Http;

/// <summary>Reads the request's one message, bounded in size before anything is parsed.</summary>
internal static class MessageBody
{
    public const string WrongType = "wrong_media_type", TooLarge = "too_large";

    public static async ValueTask<Result<McpMessage>> Read(HttpRequest request, CancellationToken cancellationToken)
    {
        if (!IsJson(request)) return new Fault(WrongType, "The body must be application/json in UTF-8, not encoded.");
        if (request.ContentLength > Limits.GuardBody) return new Fault(TooLarge, "The body is too large.");
        PipeReader body = request.BodyReader;
        while (true)
        {
            ReadResult read = await body.ReadAsync(cancellationToken);
            ReadOnlySequence<byte> all = read.Buffer;
            if (all.Length > Limits.GuardBody) return new Fault(TooLarge, "The body is too large.");
            if (!read.IsCompleted)
            {
                body.AdvanceTo(all.Start, all.End);
                continue;
            }
            // The parsed value has a copy of its own, so the pipe's memory goes back at once.
            Result<McpMessage> message = McpMessage.Read(all.IsSingleSegment ? all.First : all.ToArray());
            body.AdvanceTo(all.End);
            return message;
        }
    }

    private static bool IsJson(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.Count > 0) return false;
        if (request.ContentType is "application/json") return true;
        return MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type)
            && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase));
    }
}
