using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Storage;

namespace McpAuthServer.SignIn;

/// <summary>Sign-out: by a form only, so that no link or image does it.</summary>
internal static class SignOutEndpoint
{
    public static void MapSignOut(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.SignOut, HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, Issuer issuer, ICommitLog log, ServerOptions options, TimeProvider time)
    {
        if (await Browser.SignedInAsync(context) is { } who)
        {
            var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.SignedOut, who.Person.Id);
            if (form is null)
                return refusal!;
            await log.Commit(new EndSession(who.Session.Id, time.GetUtcNow(), options.Node));
        }
        await Browser.SignOutAsync(context);
        return new SeeOther(issuer.BasePath + Names.Paths.SignIn);
    }
}
