using McpAuth.Protocol;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Diagnostics;

namespace McpAuthServer.Http;

/// <summary>What an exception becomes on the wire: never a stack trace, never a half-done effect.</summary>
internal static class Failures
{
    public static Task HandleAsync(HttpContext context)
    {
        var error = context.Features.Get<IExceptionHandlerFeature>()?.Error switch
        {
            CommitLogBusyException => Unavailable("The server is busy; try again."),
            CommitLogFailedException or System.Data.Common.DbException => Unavailable("The store is not available; try again."),
            BadHttpRequestException bad => new OAuthError(Names.Errors.InvalidRequest, "The request could not be read.", bad.StatusCode),
            _ => new OAuthError(Names.Errors.ServerError, "The request failed; it has been logged.", StatusCodes.Status500InternalServerError),
        };
        context.Response.Headers.CacheControl = "no-store";
        return error.ExecuteAsync(context);
    }

    private static OAuthError Unavailable(string description) => new(Names.Errors.TemporarilyUnavailable, description, StatusCodes.Status503ServiceUnavailable);
}
