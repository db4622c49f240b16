using McpGuard.Sdk.Http;
using Microsoft.Extensions.DependencyInjection;

namespace McpGuard.Sdk.Hosting;

/// <summary>
/// What a server that outlives its requests has for services: those of the request that it runs now. Between two there are none, as there are none of a request that is over.
/// </summary>
internal sealed class RequestServices : IKeyedServiceProvider, ISupportRequiredService
{
    private static readonly object Running = new();

    private IServiceProvider? current;
    private object? handler; // null while none runs; otherwise Running, or what waits for its end

    /// <summary>Where the answer to the request is written.</summary>
    public AnswerBody? Answer { get; private set; }

    public void Begin(IServiceProvider services, AnswerBody answer) => (current, Answer) = (services, answer);

    public void End() => (current, Answer) = (null, null);

    /// <summary>The first filter of the host begins.</summary>
    public void HandlerBegan() => Volatile.Write(ref handler, Running);

    /// <summary>The handler and every filter of the host have returned.</summary>
    public void HandlerEnded() => (Interlocked.Exchange(ref handler, null) as TaskCompletionSource)?.SetResult();

    /// <summary>The answer is written before that, and mostly it has ended when this is asked.</summary>
    public Task UntilHandlerEnded()
    {
        if (Volatile.Read(ref handler) is null) return Task.CompletedTask;
        var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return Interlocked.CompareExchange(ref handler, waiting, Running) == Running ? waiting.Task : Task.CompletedTask;
    }

    public object? GetService(Type serviceType) => Current.GetService(serviceType);

    public object GetRequiredService(Type serviceType) => Current.GetRequiredService(serviceType);

    public object? GetKeyedService(Type serviceType, object? serviceKey) =>
        (Current as IKeyedServiceProvider ?? throw new InvalidOperationException("The services of this host have no keys.")).GetKeyedService(serviceType, serviceKey);

    public object GetRequiredKeyedService(Type serviceType, object? serviceKey) => Current.GetRequiredKeyedService(serviceType, serviceKey);

    private IServiceProvider Current => Volatile.Read(ref current) ?? throw new ObjectDisposedException(nameof(IServiceProvider), "The request is over.");
}
