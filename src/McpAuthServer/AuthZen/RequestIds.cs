using McpAuth.Protocol;
using McpAuthServer.Http;

namespace McpAuthServer.AuthZen;

/// <summary>Metadata of an endpoint whose answers, whatever they are, carry the request's own id.</summary>
internal sealed record EchoesRequestId;

internal static class RequestIds
{
    private const int Longest = 256;

    /// <summary>AuthZEN 1.0 §10.1.3: the identifier of the request stands in the response. After routing and before anything that may refuse.</summary>
    public static void UseRequestIds(this IApplicationBuilder app) => app.Use(next => context =>
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<EchoesRequestId>() is null || context.Request.Headers[Names.AuthZen.RequestId] is not { Count: > 0 } given)
            return next(context);
        // An arbitrary string, but one that can stand in a header.
        if (given is not [{ Length: > 0 and <= Longest } id] || id.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            return Problem.Invalid($"{Names.AuthZen.RequestId} stands once, with at most {Longest} printable characters of ASCII.").ExecuteAsync(context);
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[Names.AuthZen.RequestId] = id;
            return Task.CompletedTask;
        });
        return next(context);
    });
}
