using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Abuse;
using McpAuthServer.Http;
using McpAuthServer.Pages;
using McpAuthServer.People;

namespace McpAuthServer.SignIn;

/// <summary>A person changes their own password.</summary>
internal static class PasswordEndpoint
{
    public const string CurrentField = "current_password", NewField = "new_password";

    public static void MapPassword(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Password, async Task<IResult> (HttpContext context, Issuer issuer) =>
            await Browser.SignedInAsync(context) is { } who ? Page(who) : new SeeOther(issuer.BasePath + Names.Paths.SignIn));
        routes.MapPost(Names.Paths.Password, HandleAsync).Limited(Limit.SignIn);
    }

    private static async Task<IResult> HandleAsync(HttpContext context, Issuer issuer, PasswordChange change)
    {
        if (await Browser.SignedInAsync(context) is not { } who)
            return new SeeOther(issuer.BasePath + Names.Paths.SignIn);
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.AccountChanged, who.Person.Id);
        if (form is null)
            return refusal!;
        var changed = await change.TryAsync(who.Session, form[CurrentField] ?? "", form[NewField] ?? "", context.RequestAborted);
        return changed.TryGet(out _, out var fault) ? new SeeOther(issuer.BasePath + Names.Paths.Account) : fault.Code switch
        {
            PasswordProof.Busy => Page(who, fault.Message) with { Status = StatusCodes.Status429TooManyRequests, RetryAfter = PasswordProof.RetryAfter },
            PasswordProof.Refused => Page(who, "The current password is wrong, or you cannot change it at this moment."),
            _ => Page(who, fault.Message),
        };
    }

    private static PageResult Page(SignedIn who, string problem = "") =>
        PageResult.Of<PasswordPage>("Change your password", new Dictionary<string, object>
        {
            [nameof(PasswordPage.Email)] = who.Person.Email ?? "", [nameof(PasswordPage.Problem)] = problem,
        });
}
