using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Abuse;
using McpAuthServer.Http;
using McpAuthServer.Pages;
using McpAuthServer.People;

namespace McpAuthServer.SignIn;

/// <summary>
/// Sign-in with e-mail and password. Where the browser goes afterwards is sealed in <c>continue</c>; there is no parameter that names an
/// address.
/// </summary>
internal static class SignInEndpoint
{
    public const string ContinueField = "continue", EmailField = "email", PasswordField = "password";

    public static void MapSignIn(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.SignIn, (HttpContext context, Issuer issuer, Interactions interactions) =>
            Page(issuer, interactions, context.Request.Query[ContinueField] is [{ } text] ? text : null));
        routes.MapPost(Names.Paths.SignIn, HandleAsync).Limited(Limit.SignIn);
    }

    private static async Task<IResult> HandleAsync(HttpContext context, Issuer issuer, Interactions interactions, PasswordSignIn signIn)
    {
        // 1. Our form, from this browser: nobody is signed in as somebody else without noticing.
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.SignInFailed);
        if (form is null)
            return refusal!;

        // 2. Who it is; whatever is wrong, the answer is the same.
        var before = await Browser.SignedInAsync(context);
        var email = form[EmailField] ?? "";
        var attempt = await signIn.TryAsync(email, form[PasswordField] ?? "", before?.Session.Id, context.RequestAborted);
        if (!attempt.TryGet(out var session, out var fault))
            return Page(issuer, interactions, form[ContinueField], email, fault.Message,
                fault.Code == PasswordProof.Busy);

        // 3. A new session, whatever this browser had before; then on to where it was sealed to go.
        await Browser.SignInAsync(context, session);
        return new SeeOther(issuer.BasePath + interactions.Open(form[ContinueField]) switch
        {
            null => Names.Paths.Account,
            { Approval: { } approval } => $"{Names.Paths.Approvals}/{Uri.EscapeDataString(approval)}",
            _ => $"{Names.Paths.AuthorizeResume}?{ContinueField}={Uri.EscapeDataString(form[ContinueField]!)}",
        });
    }

    private static PageResult Page(Issuer issuer, Interactions interactions, string? sealedText, string email = "", string problem = "", bool busy = false)
    {
        var interaction = interactions.Open(sealedText);
        return PageResult.Of<SignInPage>($"Sign in to McpAuth at {new Uri(issuer.Value).Authority}", new Dictionary<string, object>
        {
            [nameof(SignInPage.Email)] = email, [nameof(SignInPage.Problem)] = problem, [nameof(SignInPage.Continue)] = interaction is null ? "" : sealedText!,
        }) with { Status = busy ? StatusCodes.Status429TooManyRequests : StatusCodes.Status200OK, RetryAfter = busy ? PasswordProof.RetryAfter : null, LeadsOut = interaction is not null };
    }
}
