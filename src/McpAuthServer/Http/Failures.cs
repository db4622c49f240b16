using McpAuth.Protocol;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Diagnostics;

namespace McpAuthServer.Http;

/// <summary>Metadata of an endpoint whose failures are not answered in JSON: what they are answered with.</summary>
internal sealed record FailureForm(Func<OAuthError, IResult> Of);

/// <summary>What an exception becomes on the wire: never a stack trace, never a half-done effect.</summary>
internal static class Failures
{
    public static Task HandleAsync(HttpContext context)
    {
        var failed = context.Features.Get<IExceptionHandlerFeature>();
        var error = failed?.Error switch
        {
            CommitLogBusyException => Unavailable("The server is busy; try again."),
            UnstorableTextException => OAuthError.InvalidRequest("A text holds a character that cannot be stored."),
            CommitLogFailedException or System.Data.Common.DbException or SigningKeyException => Unavailable("The store is not available; try again."),
            BadHttpRequestException bad => new OAuthError(Names.Errors.InvalidRequest, "The request could not be read.", bad.StatusCode),
            _ => new OAuthError(Names.Errors.ServerError, "The request failed; it has been logged.", StatusCodes.Status500InternalServerError),
        };
        context.Response.Headers.CacheControl = "no-store";
        // The handler runs outside of the endpoint, which is remembered beside the error.
        return (failed?.Endpoint?.Metadata.GetMetadata<FailureForm>() is { } form ? form.Of(error) : error).ExecuteAsync(context);
    }

    private static OAuthError Unavailable(string description) => new(Names.Errors.TemporarilyUnavailable, description, StatusCodes.Status503ServiceUnavailable);
}
