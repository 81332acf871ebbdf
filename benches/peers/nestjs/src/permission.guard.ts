import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { Data } from './data.js';

/** The permission that a route asks for. */
export const Permit = Reflector.createDecorator<string>();

@Injectable()
export class PermissionGuard implements CanActivate {
  constructor(
    private readonly data: Data,
    private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const { subject } = context.switchToHttp().getRequest<FastifyRequest>();
    const permission = this.reflector.get(Permit, context.getHandler());
    return this.data.permissions.get(subject)?.has(permission) ?? false;
  }
}
